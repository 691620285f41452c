"""The broker: a modality worklist and store gateway with test/production cutover."""

import os

__version__ = "0.1.0"

# No plugin of pydantic's is ours: looking for some among all installed packages costs every start 30 ms.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
