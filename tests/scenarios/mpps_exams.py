"""Exams as a console tells of them by MPPS, made by a seed, and what the product must know after each request."""

import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from pydicom.dataset import Dataset

from broker.dimse.message import CommandField
from broker.dimse.requestor import EngineRequestor, OpenAssociation
from broker.dimse.service import NormalizedAnswer, NormalizedRequest, Peer
from broker.errors import Unavailable
from broker.procedures.model import SOP_CLASS
from tests.unit.procedures.building import UID, creation, dataset, encoded, ending, item, series

IMPLICIT = "1.2.840.10008.1.2"
SUCCESS = 0x0000


@dataclass(frozen=True)
class State:
    """What is known of one exam."""

    performed: str = ""  # (0040,0252), empty where there is no such step
    worklist: str = "SCHEDULED"
    messages: int = 0  # kept as they came
    owed: int = 0  # to the next MPPS provider
    told: tuple[str, ...] = ()  # to the RIS


@dataclass(frozen=True)
class Exam:
    """One exam: of an order or of none, with so many N-SET in progress, then an end or none."""

    scheduled: bool
    in_progress: int
    end: str  # COMPLETED, DISCONTINUED, or empty: it goes on
    apart: bool  # an association for each request, as some consoles have it

    def requests(self, number: int, study_uid: str) -> list[NormalizedRequest]:
        """N-CREATE and what follows it, of the order of this number."""
        stated = {"AccessionNumber": f"A{number}", "RequestedProcedureID": f"R{number}", "StudyInstanceUID": study_uid}
        unscheduled = {"StudyInstanceUID": f"1.2.999.{number}"} | dict.fromkeys(
            ("AccessionNumber", "RequestedProcedureID", "ScheduledProcedureStepID"), ""
        )
        step = item(**(stated if self.scheduled else unscheduled))
        created = creation(step, PatientName="Doe^Jane", PatientID=f"H{number}", PatientBirthDate="19700101")
        sets = [dataset(PerformedSeriesSequence=[series(images=n + 1)]) for n in range(self.in_progress)]
        ends = [ending(self.end)] if self.end else []
        return [_request(CommandField.N_CREATE_RQ, number, created)] + [
            _request(CommandField.N_SET_RQ, number, made) for made in (*sets, *ends)
        ]

    def after(self, applied: int) -> State:
        """What is known when so many of its requests took effect."""
        if applied == 0:
            return State()
        is_over = bool(self.end) and applied == self.in_progress + 2
        told = ("started", self.end.lower()) if is_over else ("started",)
        return State(
            performed=self.end if is_over else "IN PROGRESS",
            worklist=(self.end if is_over else "STARTED") if self.scheduled else "SCHEDULED",
            messages=applied,
            owed=applied,
            told=told if self.scheduled else (),
        )


def exam(seed: int) -> Exam:
    """The exam of a seed: the first ones differ in every way, the others are drawn."""
    drawn = random.Random(seed)
    return Exam(
        scheduled=seed % 5 != 4,
        in_progress=drawn.randrange(4),
        end=("COMPLETED", "DISCONTINUED", "COMPLETED", "DISCONTINUED", "COMPLETED", "")[seed % 6],
        apart=seed % 2 == 1,
    )


def uid(number: int) -> str:
    """The SOP Instance UID of the performed step of this number."""
    return f"{UID}.{number}"


def once_more(number: int) -> NormalizedRequest:
    """An N-SET that would change the step."""
    return _request(CommandField.N_SET_RQ, number, ending("DISCONTINUED"))


def _request(command: CommandField, number: int, made: Dataset) -> NormalizedRequest:
    return NormalizedRequest(command, SOP_CLASS, uid(number), data_set=encoded(made))


def say(port: int, requests: Sequence[NormalizedRequest], apart: bool = False) -> list[NormalizedAnswer]:
    """Send requests one after the other; return the answers until the port is gone."""
    answers: list[NormalizedAnswer] = []
    groups = [[each] for each in requests] if apart else [list(requests)]
    try:
        for group in groups:
            with _associated(port) as association:
                for each in group:
                    answers.append(association.request(each))
    except (Unavailable, ConnectionError):
        pass
    return answers


def _associated(port: int) -> AbstractContextManager[OpenAssociation]:
    peer = Peer("127.0.0.1", port, "BROKER", "US_ROOM2")
    return EngineRequestor().associate(peer, [(SOP_CLASS, IMPLICIT)])
