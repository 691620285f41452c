"""What asks a target whether it is ready, built of the running product's own callers. Decides nothing."""

from broker.app.peers import requestor, web_answers
from broker.promotion.probing import Network


def network() -> Network:
    """Return what asks destinations, ports, disk and certificates, each thing once."""
    return Network(requestor, web_answers)
