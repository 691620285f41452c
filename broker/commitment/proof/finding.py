"""Looks for instances at a destination by C-FIND, Study Root, image level (PS3.4 C.6.2.1). Decides nothing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from broker.dimse.contexts import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, STUDY_ROOT_FIND
from broker.dimse.service import FindAnswer, Peer
from broker.errors import Unavailable
from broker.spool.model import SpooledInstance
from broker.worklist import elements
from broker.worklist.elements import Element, Malformed, tag_of

CONTEXTS = ((STUDY_ROOT_FIND, IMPLICIT_VR_LITTLE_ENDIAN), (STUDY_ROOT_FIND, EXPLICIT_VR_LITTLE_ENDIAN))

_LIST = 50  # UIDs in one query: list of UID matching (PS3.4 C.2.2.2.2)
_PENDING = frozenset({0xFF00, 0xFF01})
_INSTANCE = tag_of("SOPInstanceUID")


class Association(Protocol):
    """An association on which queries can be asked."""

    @property
    def accepted(self) -> dict[tuple[str, str], int]:
        """The accepted contexts: (SOP class, transfer syntax) to its number."""
        ...

    def find(self, sop_class_uid: str, transfer_syntax: str, identifier: bytes) -> Iterator[FindAnswer]:
        """Send C-FIND and yield each answer. Raises ContextRefused, Unavailable."""
        ...


class Caller(Protocol):
    """What opens associations for us (`dimse.requestor.EngineRequestor`)."""

    def associate(self, peer: Peer, contexts: Iterable[tuple[str, str]]) -> AbstractContextManager[Association]:
        """Open an association, and release it at the end of the block. Raises AssociationRefused, Unavailable."""
        ...


def found(caller: Caller, peer: Peer, wanted: Sequence[SpooledInstance]) -> set[str]:
    """Return the SOP Instance UIDs of those that the destination finds.

    Asked in lists, a series at a time; one that no list finds is asked for alone, since some receivers take a list
    for one value. Raises AssociationRefused, ContextRefused, Unavailable.
    """
    with caller.associate(peer, CONTEXTS) as association:
        known: set[str] = set()
        for series in _by_series(wanted).values():
            for start in range(0, len(series), _LIST):
                known |= _asked(association, series[start : start + _LIST])
        for instance in wanted:
            if instance.facts.sop_instance_uid not in known:
                known |= _asked(association, (instance,))
    return known & {instance.facts.sop_instance_uid for instance in wanted}


def _by_series(wanted: Iterable[SpooledInstance]) -> Mapping[tuple[str, str], list[SpooledInstance]]:
    series: dict[tuple[str, str], list[SpooledInstance]] = {}
    for instance in wanted:
        series.setdefault((instance.study_instance_uid, instance.series_instance_uid), []).append(instance)
    return series


def _asked(association: Association, some: Sequence[SpooledInstance]) -> set[str]:
    syntax = next((syntax for _, syntax in association.accepted), IMPLICIT_VR_LITTLE_ENDIAN)
    uids: set[str] = set()
    for answer in association.find(STUDY_ROOT_FIND, syntax, _identifier(some, syntax)):
        if answer.status in _PENDING:
            uids.add(_uid(answer.identifier or b"", syntax))
        elif answer.status:
            raise Unavailable(f"its query failed with status {answer.status:04X}")
    return uids


def _identifier(some: Sequence[SpooledInstance], syntax: str) -> bytes:
    uids = "\\".join(instance.facts.sop_instance_uid for instance in some)
    values = {
        "QueryRetrieveLevel": ("CS", "IMAGE"),
        "StudyInstanceUID": ("UI", some[0].study_instance_uid),
        "SeriesInstanceUID": ("UI", some[0].series_instance_uid),
        "SOPInstanceUID": ("UI", uids),
    }
    return elements.write(
        [Element(tag_of(keyword), vr, value.encode("ascii", "replace")) for keyword, (vr, value) in values.items()],
        syntax,
    )


def _uid(identifier: bytes, syntax: str) -> str:
    try:
        answer = {element.tag: element for element in elements.read(identifier, syntax)}
    except Malformed as error:
        raise Unavailable(f"its answer to the query cannot be read: {error}") from error
    uid = answer.get(_INSTANCE)
    return uid.value.decode("ascii", "replace").strip(" \0") if uid else ""
