"""A scripted PACS made of pynetdicom: it stores, commits as told, and reports where it is told to."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from pydicom import Dataset
from pydicom.sequence import Sequence
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, build_role, evt

from tests.peers.steady import steady

PUSH = "1.2.840.10008.1.20.1"
INSTANCE = "1.2.840.10008.1.20.1.1"
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2.1"


class Where(Enum):
    """Where the PACS reports."""

    SAME = auto()  # on the association that asked
    NEW = auto()  # on one that it opens
    NOWHERE = auto()


@dataclass
class Archive:
    """What the PACS has, what it is told to do, and what it saw."""

    port: int = 0
    ae_title: str = "PACS"
    where: Where = Where.SAME
    reports_to: int = 0  # the port that it calls for a report of its own
    action_status: int = 0x0000
    finds: bool = True
    stored: dict[str, list[bytes]] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)  # FailureReason by SOP Instance UID
    lost: set[str] = field(default_factory=set)  # it answers 0000 to these once, and forgets them
    actions: list[tuple[str, Dataset]] = field(default_factory=list)  # by calling title
    answers: list[int] = field(default_factory=list)  # to its reports
    queries: list[Dataset] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def report(self, asked: Dataset) -> tuple[int, Dataset]:
        """Return the event type and information of the report on a request."""
        committed: list[Dataset] = []
        failed: list[Dataset] = []
        for item in asked.ReferencedSOPSequence:
            uid = str(item.ReferencedSOPInstanceUID)
            reason = self.failures.get(uid) or (None if uid in self.stored else 0x0112)
            one = Dataset()
            one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = item.ReferencedSOPClassUID, uid
            if reason is not None:
                one.FailureReason = reason
            (committed if reason is None else failed).append(one)
        found = Dataset()
        found.TransactionUID = asked.TransactionUID
        if committed:
            found.ReferencedSOPSequence = Sequence(committed)
        if failed:
            found.FailedSOPSequence = Sequence(failed)
        return (2 if failed else 1), found

    def send_report(self, asked: Dataset, called: str, port: int) -> int:
        """Open an association as provider and report; return the status."""
        entity = AE(self.ae_title)
        entity.add_requested_context(PUSH)
        roles = [build_role(PUSH, scp_role=True)]
        association = steady(entity.associate("127.0.0.1", port, ae_title=called, ext_neg=roles))
        assert association.is_established, "the broker does not take the PACS's association"
        event_type, information = self.report(asked)
        status, _ = association.send_n_event_report(information, event_type, PUSH, INSTANCE)
        association.release()
        return int(status.Status)


def _store(archive: Archive) -> Callable[[evt.Event], int]:
    def handle(event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid in archive.lost:
            archive.lost.discard(uid)
            return 0x0000
        archive.stored.setdefault(uid, []).append(event.encoded_dataset(include_meta=False))
        return 0x0000

    return handle


def _action(archive: Archive) -> Callable[[evt.Event], tuple[int, None]]:
    def handle(event: evt.Event) -> tuple[int, None]:
        asked, calling = event.action_information, event.assoc.requestor.ae_title
        archive.actions.append((calling, asked))
        if archive.action_status == 0x0000 and archive.where is not Where.NOWHERE:
            thread = threading.Thread(target=_reported, args=(archive, event.assoc, asked, calling))
            archive.threads.append(thread)
            thread.start()
        return archive.action_status, None

    return handle


def _reported(archive: Archive, association: Any, asked: Dataset, calling: str) -> None:
    time.sleep(0.1)  # the response goes first
    if archive.where is Where.NEW:
        archive.answers.append(archive.send_report(asked, calling, archive.reports_to))
        return
    event_type, information = archive.report(asked)
    try:
        status, _ = steady(association).send_n_event_report(information, event_type, PUSH, INSTANCE)
    except RuntimeError:  # the broker has gone
        status = Dataset()
    archive.answers.append(int(status.Status) if "Status" in status else -1)


def _find(archive: Archive) -> Callable[[evt.Event], Iterator[tuple[int, Dataset | None]]]:
    def handle(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        asked = event.identifier
        archive.queries.append(asked)
        value = asked.get("SOPInstanceUID") or []
        for uid in [value] if isinstance(value, str) else list(value):
            if archive.finds and uid in archive.stored:
                answer = Dataset()
                answer.QueryRetrieveLevel, answer.SOPInstanceUID = "IMAGE", uid
                yield 0xFF00, answer

    return handle


@contextmanager
def archive(*, commits: bool = True, finds: bool = True, **settings: Any) -> Iterator[Archive]:
    """Run a PACS on a free port; `settings` are the attributes of `Archive`."""
    pacs = Archive(**settings)
    entity = AE(pacs.ae_title)
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    if commits:
        entity.add_supported_context(PUSH, scu_role=True, scp_role=True)
    if finds:
        entity.add_supported_context(STUDY_ROOT)
    handlers = [
        (evt.EVT_C_STORE, _store(pacs)),
        (evt.EVT_N_ACTION, _action(pacs)),
        (evt.EVT_C_FIND, _find(pacs)),
    ]
    server = entity.start_server(("127.0.0.1", pacs.port), block=False, evt_handlers=handlers)
    pacs.port = server.socket.getsockname()[1]
    try:
        yield pacs
    finally:
        server.shutdown()
        for thread in pacs.threads:
            thread.join(20)
