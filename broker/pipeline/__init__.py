"""The flows, a file each: READ FIRST. They own every commit; they decide nothing themselves.

Each has one rhythm: capture raw, translate, decide (pure), store, answer. In the order of a patient's day:
`messages` (RIS -> worklist), `associations` (who calls), `queries` (worklist -> ultrasound), `steps` (MPPS),
`images` (C-STORE -> spool) and `owing` (-> what is owed to whom), `deliveries` (-> PACS, and its proof), `house` (by
the clock), `worlds` (what the other world may know). `here` is what all of them have at hand, `word` how one process
tells the other of new images.
"""

from broker.pipeline.associations import Associations
from broker.pipeline.deliveries import Deliveries
from broker.pipeline.house import House
from broker.pipeline.images import Images
from broker.pipeline.messages import Messages
from broker.pipeline.queries import Queries
from broker.pipeline.steps import Steps
from broker.pipeline.worlds import WorldsFlow


class Flows(Messages, Associations, Queries, Steps, Images, Deliveries, House, WorldsFlow):
    """The flows of one environment. Every method may be called from many threads at once."""
