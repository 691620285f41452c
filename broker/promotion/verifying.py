"""Our Verification of a device where it is bound, recorded as a fact whatever came of it. Sends nothing else."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from broker import __version__
from broker.clock import Clock
from broker.database import Database
from broker.dimse.contexts import IMPLICIT_VR_LITTLE_ENDIAN, VERIFICATION
from broker.dimse.service import Peer, RequestedAssociation
from broker.environments.model import Profile
from broker.errors import BrokerError, Refused
from broker.promotion.recorded import store
from broker.promotion.recorded.model import Echo, Way
from broker.registry.model import Modality


class Caller(Protocol):
    """What opens associations for us (`dimse.requestor.EngineRequestor`)."""

    def associate(
        self, peer: Peer, contexts: Iterable[tuple[str, str]]
    ) -> AbstractContextManager[RequestedAssociation]:
        """Open an association, and release it at the end of the block. Raises AssociationRefused, Unavailable."""
        ...


def verify(database: Database, profile: Profile, device: Modality, caller: Caller, clock: Clock) -> Echo:
    """Send C-ECHO to a device and keep what came of it. Raises Refused where it is not bound."""
    binding = device.binding
    if not binding.host or not binding.port:
        raise Refused(f"{device.name} is not bound in {profile.name}: broker modality bind {device.name} --host --port")
    echo = Echo(
        device=device.name,
        at=clock.now(),
        way=Way.SENT,
        revision=device.revision,
        host=binding.host,
        port=binding.port,
        software=__version__,
        failure=_failure(Peer(binding.host, binding.port, device.ae_titles[0], profile.dicom.ae_title), caller),
    )
    with database.write("promotion") as tx:
        store.add_echo(tx, echo)
    return echo


def _failure(peer: Peer, caller: Caller) -> str:
    try:
        with caller.associate(peer, [(VERIFICATION, IMPLICIT_VR_LITTLE_ENDIAN)]) as association:
            status = association.echo()
    except BrokerError as error:
        return " ".join(str(error).split())
    return f"it answered our C-ECHO with status {status:04X}" if status else ""
