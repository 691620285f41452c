"""Attempts to let something cross between Test and Production, each by what somebody does: no test of its own."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from broker.audit.model import CLOCK
from broker.clock import SystemClock
from broker.delivery.model import DeliveryState
from broker.dimse.requestor import EngineRequestor
from broker.environments.model import Destination, Protocol, Receiver
from broker.identifiers import AETitle
from broker.inbox import store as inbox
from broker.registry import document
from broker.registry import store as registry
from broker.tripwires.file import Hashing, Header
from tests.peers.broker import MODALITY
from tests.scenarios.two_worlds import PROCESSING_ID, Side

BOTH, PRODUCTION, TEST = ("production", "test"), ("production",), ("test",)
STUDY = "1.2.826.0.1.5.1"
PATIENT = {"PatientID": "H1", "AccessionNumber": ""}


Act = Callable[[Side, Side], str]


@dataclass(frozen=True)
class Attempt:
    """What somebody does (here, where it began), what it becomes of without the tripwire, and the tripwire."""

    name: str
    tripwire: str
    act: Act
    untripped: str = "taken"
    into: tuple[str, ...] = ("production", "test")
    becomes: str = ""  # where that is not what the tripwire does with it


def _order_with_study(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.order("2", study=STUDY)


def _same_order(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.order("1", study=STUDY)


def _order_without_study(here: Side, there: Side) -> str:
    there.order("1")
    return here.order("1")


def _order_by_first_image(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.order("2", study=STUDY)


def _order_by_step(here: Side, there: Side) -> str:
    there.create("1.2.8.1", StudyInstanceUID=STUDY)
    return here.order("2", study=STUDY)


def _order_that_came_first(here: Side, there: Side) -> str:
    here.order("1", study=STUDY)
    there.flows.worlds._off |= {"order-of-other"}
    there.order("1", study=STUDY)
    return here.order("1", study=STUDY, kind="XO")


def _clone_of_patient(here: Side, there: Side) -> str:
    there.order("1", patient="H7")
    return here.order("2", patient="H7")


def _equal_accession(here: Side, there: Side) -> str:
    there.order("1", accession="A77")
    return here.order("2", accession="A77")


def _listed_patient(here: Side, _: Side) -> str:
    return here.order("3", patient="H999")


def _listed_patient_again(here: Side, _: Side) -> str:
    here.order("3", patient="H999")
    return here.order("4", patient="H999", name="Real^Name")


def _called_test(here: Side, _: Side) -> str:
    return here.order("3", name="Test^Theo")


def _called_phantom(here: Side, _: Side) -> str:
    return here.order("3", name="Abdomen^Phantom 3")


def _image_of_order(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.image("1.2.7.1", StudyInstanceUID=STUDY, PatientID="H1", AccessionNumber="A1")


def _image_of_begun_study(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.image("1.2.7.2", StudyInstanceUID=STUDY, **PATIENT)


def _same_image(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)


def _same_image_under_other_study(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.image("1.2.7.1", StudyInstanceUID="1.2.66", PatientID="HY", AccessionNumber="")


def _image_of_begun_step(here: Side, there: Side) -> str:
    there.create("1.2.8.1", StudyInstanceUID=STUDY)
    return here.image("1.2.7.3", StudyInstanceUID=STUDY, PatientID="HY", AccessionNumber="")


def _image_of_cloned_order(here: Side, there: Side) -> str:
    here.order("1", study=STUDY)
    there.flows.worlds._off |= {"order-of-other"}
    there.order("1", study=STUDY)
    return here.image("1.2.7.1", StudyInstanceUID=STUDY, PatientID="H1", AccessionNumber="A1")


def _image_by_patient(here: Side, there: Side) -> str:
    there.order("1")
    return here.image("1.2.7.4", StudyInstanceUID="1.2.77", PatientID="H1", AccessionNumber="")


def _image_by_accession(here: Side, there: Side) -> str:
    there.order("1")
    return here.image("1.2.7.5", StudyInstanceUID="1.2.77", PatientID="HY", AccessionNumber="A1")


def _image_of_listed(here: Side, _: Side) -> str:
    return here.image("1.2.7.6", StudyInstanceUID="1.2.78", PatientID="H999", AccessionNumber="")


def _handed_back(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.image("1.2.7.1", calling=_title(there), StudyInstanceUID=STUDY, **PATIENT)


def _step_of_order(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.create("1.2.8.1", StudyInstanceUID=STUDY)


def _step_of_begun_study(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.create("1.2.8.1", StudyInstanceUID=STUDY)


def _same_step(here: Side, there: Side) -> str:
    there.create("1.2.8.1")
    return here.create("1.2.8.1", StudyInstanceUID="1.2.998")


def _step_of_cloned_order(here: Side, there: Side) -> str:
    here.order("1", study=STUDY)
    there.flows.worlds._off |= {"order-of-other"}
    there.order("1", study=STUDY)
    return here.create("1.2.8.1", StudyInstanceUID=STUDY)


def _step_by_accession(here: Side, there: Side) -> str:
    there.order("1")
    return here.create("1.2.8.1", AccessionNumber="A1")


def _step_by_patient(here: Side, there: Side) -> str:
    there.order("1")
    return here.create("1.2.8.1", patient="H1")


def _step_of_listed(here: Side, _: Side) -> str:
    return here.create("1.2.8.1", patient="H999")


def _order_with_study_in_ipc(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    return here.imaging_order("2", STUDY)


def _cancel_of_other(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    here.flows.worlds._off |= {"order-of-other"}
    here.order("1", study=STUDY)
    here.forget_alerts()
    return here.order("1", study=STUDY, kind="CA")


def _update_of_patient(here: Side, there: Side) -> str:
    there.order("1", patient="H7")
    return here.patient("A08", "H7")


def _merge_into_other_s(here: Side, there: Side) -> str:
    there.order("1", patient="H7")
    return here.patient("A40", "H7", merged="H8")


def _merge_of_other_s(here: Side, there: Side) -> str:
    there.order("1", patient="H7")
    return here.patient("A40", "H8", merged="H7")


def _update_of_listed(here: Side, _: Side) -> str:
    return here.patient("A08", "H999")


def _merge_into_listed(here: Side, _: Side) -> str:
    return here.patient("A40", "H999", merged="H8")


def _merge_of_listed(here: Side, _: Side) -> str:
    return here.patient("A40", "H8", merged="H999")


def _imaging_order_of_listed(here: Side, _: Side) -> str:
    return here.imaging_order("2", "", patient="H999")


def _update_called_test(here: Side, _: Side) -> str:
    return here.patient("A08", "H8", name="TEST^Anna")


def _msh11(text: str) -> Act:
    return lambda here, there: here.order("3", msh11=text or there.processing_id)


def _sent_as_it_was(here: Side, there: Side) -> str:
    there.order("1")
    here.flows.worlds._off |= {"order-of-other"}  # which would hold it as well
    with there.database.read() as tx:
        return here.message(inbox.entries(tx, limit=1)[0].raw)


def _padded_study(padding: str) -> Act:
    def act(here: Side, there: Side) -> str:
        there.order("1", study=STUDY)
        return here.image("1.2.7.1", padding=padding, StudyInstanceUID=STUDY, PatientID="HY", AccessionNumber="")

    return act


def _padded_patient(here: Side, there: Side) -> str:
    there.order("1")
    return here.image("1.2.7.4", padding="  ", StudyInstanceUID="1.2.77", PatientID="H1", AccessionNumber="")


def _own_accession_for_other_study(here: Side, there: Side) -> str:
    here.order("2")
    there.order("1", study=STUDY)
    return here.image("1.2.7.1", StudyInstanceUID=STUDY, PatientID="H2", AccessionNumber="A2")


def _same_image_under_own_study(here: Side, there: Side) -> str:
    here.order("2", study=f"{STUDY}.2")
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.image("1.2.7.1", StudyInstanceUID=f"{STUDY}.2", PatientID="H2", AccessionNumber="A2")


def _image_without_study(here: Side, there: Side) -> str:
    there.order("1")
    return here.image("1.2.7.1", StudyInstanceUID="", PatientID="H1", AccessionNumber="A1")


def _handed_back_image(here: Side, there: Side) -> str:
    there.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    return here.image("1.2.7.1", calling=_title(there), StudyInstanceUID=STUDY, **PATIENT)


def _step_of_two(here: Side, there: Side) -> str:
    here.order("2", study=f"{STUDY}.2")
    there.order("1", study=STUDY)
    return here.create("1.2.8.1", StudyInstanceUID=f"{STUDY}.2", further=STUDY)


def _same_step_of_own_order(here: Side, there: Side) -> str:
    here.order("2", study=f"{STUDY}.2")
    there.create("1.2.8.1", StudyInstanceUID=STUDY)
    return here.create("1.2.8.1", StudyInstanceUID=f"{STUDY}.2")


def _step_handed_over_to_where_it_is_not(here: Side, there: Side) -> str:
    there.order("1")
    return here.create("1.2.8.1", calling=_title(there), patient="H1")


def _live_there(act: Act) -> Act:
    def acted(here: Side, there: Side) -> str:
        there.flows.watch_worlds()
        return act(here, there)

    return acted


def _stored_by_live(here: Side, _: Side) -> str:
    return here.image("1.2.7.8", StudyInstanceUID="1.2.79", PatientID="HY", AccessionNumber="")


def _unknown_here(here: Side, there: Side) -> str:
    content = MODALITY.replace("us-room-2", "us-room-9").replace("US_ROOM2", "US_ROOM9").encode()
    with there.database.write("registry") as tx:
        registry.apply(tx, document.read(content, "device.toml"), content, CLOCK, SystemClock().now())
    there.flows.watch_worlds()
    return here.call("US_ROOM9")


def _delivered_there(here: Side, there: Side) -> str:
    here.image("1.2.7.1", StudyInstanceUID=STUDY, **PATIENT)
    (theirs,) = there.profile.destinations
    here.flows.deliver(theirs, EngineRequestor())
    (one,) = here.owed("1.2.7.1")
    return "taken" if one.state is DeliveryState.DELIVERED else "refused"


class _Asked(Exception):
    """The other world's system was asked."""


class _Told:
    """Stands for a system of the other world."""

    def associate(self, *_: object) -> Any:
        raise _Asked

    def exchange(self, _: bytes) -> bytes:
        raise _Asked

    def close(self) -> None:
        pass


def _told_of_step(here: Side, there: Side) -> str:
    name, world = f"mpps{here.space}", there.profile.kind
    theirs = Destination(name, Protocol.DIMSE, world, host="127.0.0.1", port=1, ae_title=AETitle("THEIRS"))
    here.flows._profile = replace(here.profile, mpps=replace(here.profile.mpps, destinations=(theirs,)))
    here.create("1.2.8.1", StudyInstanceUID=STUDY)
    here.flows._profile = here.profile
    return _asked(lambda: here.flows.pass_on(theirs, _Told()))


def _told_of_order(here: Side, there: Side) -> str:
    theirs = Receiver(f"ris{here.space}", "127.0.0.1", 1, there.profile.kind)
    here.flows._profile = replace(here.profile, receivers=(theirs,))
    here.order("1", study=STUDY)
    here.create("1.2.8.1", StudyInstanceUID=STUDY, AccessionNumber="A1", patient="H1")
    here.flows._profile = here.profile
    return _asked(lambda: here.flows.tell(theirs, _Told()))


def _asked(act: Callable[[], None]) -> str:
    try:
        act()
    except _Asked:
        return "taken"
    return "refused"


def _with_their_file(spoil: Callable[[Path], object]) -> Act:
    def act(here: Side, there: Side) -> str:
        file = there.profile.state / "identifiers"
        here.flows.worlds.seen(())
        spoil(file)
        here.flows.watch_worlds()
        return here.order("1")

    return act


def _cut_short(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])


def _of_another_key(file: Path) -> None:
    lines = file.read_bytes().partition(b"\n")[2]
    file.with_suffix(".new").write_bytes(Header("elsewhere", Hashing("another").check()).line() + lines)
    file.with_suffix(".new").replace(file)


def _copied_database(here: Side, there: Side) -> str:
    there.order("1", study=STUDY)
    off, here.flows.worlds._off = here.flows.worlds._off, here.flows.worlds._off | {"order-of-other"}
    file = here.profile.state / "identifiers"
    before = file.read_bytes()
    told = here.order("1", study=STUDY)
    here.forget_alerts()
    here.flows.worlds._off = off
    file.write_bytes(before)  # the order stands in the database, and began there
    here.flows.write_worlds()
    here.flows.watch_worlds()
    return told


def _title(side: Side) -> str:
    return str(side.profile.dicom.ae_title)


ATTEMPTS = (
    Attempt("order with the study of the other world's order", "order-of-other", _order_with_study),
    Attempt("the same order sent to both", "order-of-other", _same_order),
    Attempt("the same accession number and patient without study", "order-of-other", _order_without_study),
    Attempt("order with the study that an image began there", "order-of-other", _order_by_first_image),
    Attempt("order with the study that a step began there", "order-of-other", _order_by_step),
    Attempt("change of an order that stands in both", "order-of-both", _order_that_came_first),
    Attempt("patient of a cloned RIS", "patient-of-other", _clone_of_patient),
    Attempt("accession number of a cloned RIS", "patient-of-other", _equal_accession),
    Attempt("order for a listed patient", "test-patient-order", _listed_patient),
    Attempt("second order for a listed patient, renamed", "test-patient-order", _listed_patient_again),
    Attempt("order for one who is called Test", "test-name", _called_test),
    Attempt("order for a phantom", "test-name", _called_phantom),
    Attempt("image of the other world's order", "image-of-other", _image_of_order),
    Attempt("further image of a study begun there", "image-of-other", _image_of_begun_study),
    Attempt("image that was stored there", "image-of-other", _same_image),
    Attempt("stored image under another study", "image-of-other", _same_image_under_other_study),
    Attempt("image of a step begun there", "image-of-other", _image_of_begun_step),
    Attempt("image of an order that stands in both", "image-of-both", _image_of_cloned_order),
    Attempt("image of a patient known there alone", "image-by-patient", _image_by_patient),
    Attempt("image with an accession number known there alone", "image-by-patient", _image_by_accession),
    Attempt("image of a listed patient", "test-patient-image", _image_of_listed),
    Attempt("image that the other world hands over and has begun", "handed-back", _handed_back),
    Attempt("step of the other world's order", "step-of-other", _step_of_order),
    Attempt("step of a study begun there", "step-of-other", _step_of_begun_study),
    Attempt("step that was begun there", "step-of-other", _same_step),
    Attempt("step of an order that stands in both", "step-of-both", _step_of_cloned_order),
    Attempt("step with an accession number known there", "step-by-patient", _step_by_accession),
    Attempt("step of a patient known there", "step-by-patient", _step_by_patient),
    Attempt("step of a listed patient", "test-patient-step", _step_of_listed),
    Attempt("imaging order (OMI) with the other world's study", "order-of-other", _order_with_study_in_ipc),
    Attempt("cancellation of an order that stands in both", "order-of-both", _cancel_of_other, into=BOTH),
    Attempt("update (A08) of the other world's patient", "patient-of-other", _update_of_patient),
    Attempt("merge (A40) into the other world's patient", "patient-of-other", _merge_into_other_s),
    Attempt("merge (A40) of the other world's patient into another", "patient-of-other", _merge_of_other_s),
    Attempt("update (A08) of a listed patient", "test-patient-order", _update_of_listed),
    Attempt("merge (A40) into a listed patient", "test-patient-order", _merge_into_listed),
    Attempt("merge (A40) of a listed patient into a real one", "test-patient-order", _merge_of_listed),
    Attempt("imaging order (OMI) for a listed patient", "test-patient-order", _imaging_order_of_listed),
    Attempt("update (A08) of one who is called Test", "test-name", _update_called_test),
    Attempt("message with the other world's MSH-11", PROCESSING_ID, _msh11("")),
    Attempt("message for debugging (D) in Production", PROCESSING_ID, _msh11("D"), into=PRODUCTION),
    Attempt("message with no MSH-11, but a processing mode", PROCESSING_ID, _msh11("^T")),
    Attempt("message of the other world's inbox, sent as it was", PROCESSING_ID, _sent_as_it_was),
    Attempt("image whose study is padded with a blank", "image-of-other", _padded_study(" ")),
    Attempt("image whose study is padded with NULs", "image-of-other", _padded_study("\0\0")),
    Attempt("image whose patient is padded with blanks", "image-by-patient", _padded_patient),
    Attempt("image of the other's study with our accession number", "image-of-other", _own_accession_for_other_study),
    Attempt("stored image under a study of ours", "image-of-both", _same_image_under_own_study),
    Attempt("image without a study", "image-by-patient", _image_without_study),
    Attempt("image handed over to whom it did not begin with", "handed-back", _handed_back_image),
    Attempt("step of two orders, one of them the other's", "step-of-both", _step_of_two),
    Attempt("step begun there, under an order of ours", "step-of-both", _same_step_of_own_order),
    Attempt("step handed over by patient alone", "step-by-patient", _step_handed_over_to_where_it_is_not),
    Attempt("device that is live there stores", "live-elsewhere", _live_there(_stored_by_live), into=TEST),
    Attempt("device that is live there verifies", "live-elsewhere", _live_there(lambda h, _: h.call()), into=TEST),
    Attempt("device that is live there queries", "live-elsewhere", _live_there(lambda h, _: h.query()), into=TEST),
    Attempt(
        "device that is live there begins a step",
        "live-elsewhere",
        _live_there(lambda here, _: here.create("1.2.8.1")),
        into=TEST,
    ),
    Attempt(
        "device that is live there asks for commitment",
        "live-elsewhere",
        _live_there(lambda here, _: here.commit("1.2.7.1")),
        untripped="refused",
        into=TEST,
        becomes="refused",
    ),
    Attempt(
        "device that is live there and unknown here",
        "live-elsewhere",
        _unknown_here,
        untripped="refused",
        into=TEST,
        becomes="refused",
    ),
    Attempt("image sent to the other world's PACS", "destination-world", _delivered_there),
    Attempt("step told to a system of the other world", "destination-world", _told_of_step),
    Attempt("order's state told to the other world's RIS", "destination-world", _told_of_order),
    Attempt("the other world's file is gone", "unreadable", _with_their_file(Path.unlink)),
    Attempt("it is overwritten", "unreadable", _with_their_file(lambda file: file.write_bytes(b"\xff" * 5000 + b"\n"))),
    Attempt("it is cut short, or an old one", "unreadable", _with_their_file(_cut_short)),
    Attempt("it was written with another key", "unreadable", _with_their_file(_of_another_key)),
    Attempt("the other world's database under ours", "database-of-other", _copied_database),
)
