"""The seam between the upper layer and our services: requests in, answers out. Knows no engine and no stage."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from broker.errors import BrokerError, Rejected, Unavailable

# --- as acceptor -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed (PS3.8 9.3.2.2)."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """A presentation context as accepted."""

    id: int
    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True)
class AssociationRequest:
    """What an A-ASSOCIATE-RQ says, and from where. Titles are stripped of outer blanks, otherwise as sent."""

    calling_ae_title: str
    called_ae_title: str
    address: str
    port: int
    implementation_class_uid: str
    implementation_version_name: str
    contexts: tuple[ProposedContext, ...]
    certificate_subject: str = ""  # of the peer's TLS certificate, where one was asked for and verified


@dataclass(frozen=True, slots=True)
class Rejection:
    """An A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int  # 1 permanent, 2 transient
    source: int  # 1 service user, 2 provider (ACSE), 3 provider (presentation)
    reason: int


CALLING_NOT_RECOGNIZED = Rejection(1, 1, 3)
CALLED_NOT_RECOGNIZED = Rejection(1, 1, 7)
TEMPORARY_CONGESTION = Rejection(2, 3, 1)
LOCAL_LIMIT_EXCEEDED = Rejection(2, 3, 2)


@dataclass(frozen=True, slots=True)
class AcceptedAssociation:
    """An established association. `id` is ours (26 characters) and names its row in the database."""

    id: str
    request: AssociationRequest
    contexts: tuple[AcceptedContext, ...]


@dataclass(frozen=True, slots=True)
class FindRequest:
    """A C-FIND-RQ. `is_cancelled` tells, whenever asked, whether the peer has sent C-CANCEL for it."""

    message_id: int
    sop_class_uid: str
    transfer_syntax: str
    identifier: bytes
    is_cancelled: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class FindAnswer:
    """One C-FIND-RSP. `identifier` is encoded in the request's transfer syntax; absent unless pending."""

    status: int
    identifier: bytes | None = None
    error_comment: str = ""
    offending_element: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """A C-STORE-RQ. `data` gives the data set's bytes once, in pieces, as they arrive; they are not decoded.

    A piece is valid only until the next is asked for. Iterating raises Unavailable when the peer goes away.
    """

    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    move_originator: str
    data: Iterable[memoryview]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response without a data set."""

    status: int
    error_comment: str = ""


@dataclass(frozen=True, slots=True)
class NormalizedRequest:
    """A DIMSE-N request, received or to be sent (PS3.7 10.3).

    `command` is its Command Field; `type_id` the Action or Event Type ID; `attributes` those that N-GET asks for.
    """

    command: int
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str = ""  # of the data set, as negotiated; when sending, the context tells
    message_id: int = 0  # chosen by us when sending
    type_id: int | None = None
    attributes: tuple[int, ...] = ()
    data_set: bytes | None = None


@dataclass(frozen=True, slots=True)
class NormalizedAnswer:
    """The response to a DIMSE-N request. `sop_instance_uid` only where it differs from the request's (N-CREATE).

    `attributes` is the Attribute Identifier List: the tags that a failure or warning is about (PS3.7 annex C).
    """

    status: int
    data_set: bytes | None = None
    sop_instance_uid: str = ""
    error_comment: str = ""
    error_id: int | None = None
    attributes: tuple[int, ...] = ()


@runtime_checkable
class NormalizedProvider(Protocol):
    """A provider that also answers DIMSE-N requests."""

    def normalized(self, association: AcceptedAssociation, request: NormalizedRequest) -> NormalizedAnswer:
        """Answer N-CREATE, N-SET, N-GET, N-ACTION, N-DELETE or N-EVENT-REPORT."""
        ...


class Provider(Protocol):
    """What answers for us on accepted associations. Called on the association's own thread."""

    def admit(self, request: AssociationRequest) -> Rejection | None:
        """Decide whether the caller may come in; a rejection has been recorded when this returns."""
        ...

    def established(self, association: AcceptedAssociation) -> None:
        """Take note of a new association."""
        ...

    def settle(self, association: AcceptedAssociation, released: bool) -> None:
        """Record what C-FIND has left to be recorded; with `released` the end too, which the peer has asked for.

        Called after C-FIND: before the next message or the release is answered, or once the peer is silent.
        """
        ...

    def ended(self, association: AcceptedAssociation, released: bool, reason: str) -> None:
        """Take note of its end, and record what is not settled."""
        ...

    def echo(self, association: AcceptedAssociation) -> Answer:
        """Answer C-ECHO."""
        ...

    def find(self, association: AcceptedAssociation, request: FindRequest) -> Iterator[FindAnswer]:
        """Answer C-FIND: pending answers, then exactly one final answer."""
        ...

    def store(self, association: AcceptedAssociation, request: StoreRequest) -> Answer:
        """Answer C-STORE: 0x0000 only when the instance would survive a power cut."""
        ...


# --- as requestor ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom we call, and as whom."""

    host: str
    port: int
    called_ae_title: str
    calling_ae_title: str


class AssociationRefused(Unavailable):
    """The peer answered A-ASSOCIATE-RJ, or accepted none of our contexts (`rejection` is None then).

    `contexts` is then its answer to each (SOP class, transfer syntax), by PS3.8 table 9-18.
    """

    def __init__(
        self, text: str, rejection: Rejection | None, contexts: Mapping[tuple[str, str], int] | None = None
    ) -> None:
        super().__init__(text)
        self.rejection = rejection
        self.contexts = dict(contexts or {})


class ContextRefused(Rejected):
    """The peer did not accept this SOP class in this transfer syntax; `result` is its answer (PS3.8 table 9-18)."""

    def __init__(self, text: str, result: int) -> None:
        super().__init__(text)
        self.result = result


class Altered(BrokerError):
    """The file is not what was to be sent. The peer has nothing of the data set, or never gets its end.

    `has_begun`: it has a part, so that the association can only be aborted.
    """

    def __init__(self, text: str, *, has_begun: bool = False) -> None:
        super().__init__(text)
        self.has_begun = has_begun


class Unreadable(Unavailable):
    """The file cannot be read for now: the disk's fault and not the peer's."""


@dataclass(frozen=True, slots=True)
class OutgoingInstance:
    """An instance to send: `length` bytes of data set at `offset` of the file at `path`, in `transfer_syntax`.

    With `parts` the data set is made of them, `length` bytes in all: bytes, and (offset, length) of the file.
    With `sha256`, in hexadecimal, the end of the data set leaves only if all of it has this hash.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax: str
    path: str
    offset: int
    length: int
    parts: tuple[bytes | tuple[int, int], ...] = ()
    sha256: str = ""


class RequestedAssociation(Protocol):
    """An association that we opened."""

    def echo(self) -> int:
        """Send C-ECHO and return the status. Raises Unavailable when no response comes."""
        ...

    def store(self, instance: OutgoingInstance, following: OutgoingInstance | None = None) -> Answer:
        """Send C-STORE and return the peer's answer. The beginning of what is `following` is read meanwhile.

        Raises ContextRefused when no context fits, Altered when the file is not what it should be, Unreadable when it
        cannot be read, Unavailable when no response comes (the outcome is unknown).
        """
        ...


class Requestor(Protocol):
    """What opens associations for us."""

    def associate(
        self, peer: Peer, contexts: Iterable[tuple[str, str]]
    ) -> AbstractContextManager[RequestedAssociation]:
        """Open an association that proposes each (SOP class, transfer syntax), and release it at the end of the block.

        Raises AssociationRefused, or Unavailable with the plain cause (refused connection, time-out, no DICOM peer).
        """
        ...
