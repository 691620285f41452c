"""What stands in a status message: read back by our own parser, and by hl7apy as a second opinion."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hl7apy.parser import parse_message

from broker.environments.model import OrderEvent, OrderMessage, World
from broker.environments.receivers import CHARACTER_SETS, VERSIONS
from broker.orders.model import Code, Origin, Patient, StepStatus, StoredOrder
from broker.outbox import messages
from broker.outbox.messages import Told, build
from hl7.message import Message
from tests.unit.outbox.examples import RIS, STUDY, order, origins, step

AT = datetime(2026, 2, 1, 8, 30, 5, tzinfo=UTC)
RECEIVERS = [
    replace(RIS, message=message, version=version) for message, versions in VERSIONS.items() for version in versions
]


def read(stored: StoredOrder, event: OrderEvent = OrderEvent.STARTED, *steps: str, **receiver: object) -> Message:
    return Message.read(build(replace(RIS, **receiver), Told(stored, event, steps, AT), "C1"), ())  # type: ignore[arg-type]


def names(message: Message) -> list[str]:
    return [segment.name for segment in message.segments]


def test_message_says_who_is_told_what_by_whom_and_when() -> None:
    msh = read(order(), sending_facility="RAD").segments[0]
    assert [msh.get(n) for n in (3, 4, 5, 6)] == ["BROKER", "RAD", "RIS", "HOSP"]
    assert msh.get(7) == "20260201093005+0100"
    assert (msh.raw(9), msh.get(10), msh.get(11), msh.get(12)) == ("ORM^O01", "C1", "T", "2.3.1")
    assert msh.get(18) == "UNICODE UTF-8"
    assert read(order(), world=World.PRODUCTION).segments[0].get(11) == "P"


def test_patient_has_his_issuer_and_prefix_and_suffix_change_places() -> None:
    (pid,) = read(order()).all("PID")
    assert pid.raw(3) == "4711^^^HOSP"
    assert pid.raw(5) == "Muster^Eva^M^Jr^Dr"
    assert (pid.get(7), pid.get(8)) == ("19800229", "F")


def test_issuer_that_is_a_uid_is_a_universal_id() -> None:
    patient = Patient("4711", "1.2.40.0.13", "Muster")
    (pid,) = read(order(patient=patient)).all("PID")
    assert pid.raw(3) == "4711^^^&1.2.40.0.13&ISO"


QUALIFIER = '[{"UniversalEntityID": "1.2.3", "UniversalEntityIDType": "ISO"}]'
DESIGNATOR = '[{"LocalNamespaceEntityID": "HIS", "UniversalEntityID": "1.2.9", "UniversalEntityIDType": "ISO"}]'


def test_authority_is_said_as_whole_as_it_was_heard() -> None:
    patient = Patient("4711", "HOSP", "Muster", attributes={"IssuerOfPatientIDQualifiersSequence": QUALIFIER})
    stored = order(
        patient=patient,
        visit={"AdmissionID": "V123", "IssuerOfAdmissionIDSequence": DESIGNATOR, "RouteOfAdmissions": "O"},
        attributes={"OrderPlacerIdentifierSequence": DESIGNATOR},
    )
    message = read(stored)
    assert message.all("PID")[0].raw(3) == "4711^^^HOSP&1.2.3&ISO"
    assert (message.all("PV1")[0].get(2), message.all("PV1")[0].raw(19)) == ("O", "V123^^^HIS&1.2.9&ISO")
    assert message.all("ORC")[0].raw(2) == message.all("OBR")[0].raw(2) == "P100^HIS^1.2.9^ISO"


def test_name_in_several_writings_repeats_with_its_kind() -> None:
    patient = Patient("4711", "", "Yamada^Tarou=山田^太郎=やまだ^たろう")
    (pid,) = read(order(patient=patient)).all("PID")
    assert pid.raw(5) == "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"
    assert pid.raw(3) == "4711"


def test_visit_is_named_where_it_is_known() -> None:
    (pv1,) = read(order()).all("PV1")
    assert (pv1.get(2), pv1.get(19)) == ("U", "V123")
    assert not read(order(visit={})).all("PV1")


def test_numbers_carry_their_issuers() -> None:
    orc = read(order()).first("ORC")
    assert orc is not None
    assert (orc.get(1), orc.raw(2), orc.raw(3)) == ("SC", "P100^HIS", "F200^^1.2.40^ISO")
    assert orc.get(9) == "20260201093005+0100"


def test_each_step_told_of_is_a_pair_of_its_own_with_its_procedure_and_protocol() -> None:
    message = read(order())
    assert names(message) == ["MSH", "PID", "PV1", "ORC", "OBR", "ORC", "OBR", "ZDS"]
    one, two = message.all("OBR")
    assert one.raw(4) == "USABD^Abdomen US^L^USLIV^Liver^L"
    assert [one.get(n) for n in (1, 2, 3, 18, 19, 20, 24)] == ["1", "P100", "F200", "A200", "RP200", "S1", "US"]
    assert [two.get(n) for n in (1, 20)] == ["2", "S2"]
    zds = message.first("ZDS")
    assert zds is not None and zds.raw(1) == f"{STUDY}^^Application^DICOM"


def test_only_the_steps_told_of_are_named() -> None:
    message = read(order(), OrderEvent.STARTED, "S2")
    assert [obr.get(20) for obr in message.all("OBR")] == ["S2"]


def test_order_without_steps_is_told_of_once() -> None:
    (obr,) = read(replace(order(), order=replace(order().order, steps=()))).all("OBR")
    assert (obr.get(18), obr.get(20)) == ("A200", "")


@pytest.mark.parametrize(
    ("event", "statuses", "order_status", "result_status"),
    [
        (OrderEvent.STARTED, ("STARTED", "SCHEDULED"), "IP", "I"),
        (OrderEvent.COMPLETED, ("COMPLETED", "SCHEDULED"), "A", ""),
        (OrderEvent.COMPLETED, ("COMPLETED", "COMPLETED"), "CM", ""),
        (OrderEvent.COMPLETED, ("COMPLETED", "CANCELED"), "CM", ""),
        (OrderEvent.DISCONTINUED, ("DISCONTINUED", "CANCELED"), "DC", ""),
        (OrderEvent.SCHEDULED_AGAIN, ("SCHEDULED", "SCHEDULED"), "SC", "S"),
        (OrderEvent.SCHEDULED_AGAIN, ("SCHEDULED", "STARTED"), "IP", "S"),
        (OrderEvent.SCHEDULED_AGAIN, ("SCHEDULED", "COMPLETED"), "A", "S"),
        (OrderEvent.IMAGES_AVAILABLE, ("SCHEDULED", "SCHEDULED"), "A", "R"),
        (OrderEvent.IMAGES_AVAILABLE, ("COMPLETED", "COMPLETED"), "CM", "R"),
    ],
)
def test_status_never_closes_an_order_early_nor_reopens_it(
    event: OrderEvent, statuses: tuple[str, str], order_status: str, result_status: str
) -> None:
    steps = (step("S1", StepStatus(statuses[0])), step("S2", StepStatus(statuses[1])))
    message = read(order(*steps), event)
    assert {orc.get(5) for orc in message.all("ORC")} == {order_status}
    assert {obr.get(25) for obr in message.all("OBR")} == {result_status}


@pytest.mark.parametrize(
    ("source", "field", "expected"),
    [
        ("", 18, "A200"),  # made here
        ("OBR-18", 18, "A200"),
        ("IPC-1", 18, "A200"),  # none here: IHE's field
        ("ORC-3", 18, "A200"),
        ("OBR-21", 21, "A200"),
        ("OBR-20.2", 20, "^A200"),
        ("OBR-3", 3, "F200^^1.2.40^ISO"),  # the filler's number stands there
        ("OBR-24", 18, "A200"),  # has a meaning of ours
    ],
)
def test_accession_number_stands_where_the_order_had_it(source: str, field: int, expected: str) -> None:
    one_step = replace(order(step("")), origins=origins(AccessionNumber=source))
    (obr,) = read(one_step).all("OBR")
    assert obr.raw(field) == expected
    if field != 18:
        assert obr.get(18) == ""


def test_step_id_stands_where_its_own_step_had_it() -> None:
    stored = replace(order(step("S1")), origins={("S1", "ScheduledProcedureStepID"): Origin("OBR-21")})
    (obr,) = read(stored).all("OBR")
    assert (obr.get(20), obr.get(21)) == ("", "S1")


def test_procedure_code_is_repeated_where_the_order_had_it() -> None:
    stored = replace(order(), origins=origins(RequestedProcedureCodeSequence="OBR-44"))
    assert read(stored).all("OBR")[0].raw(44) == "USABD^Abdomen US^L"


def test_procedure_without_code_is_named_by_its_description() -> None:
    bare = replace(step("S1"), scheduled_protocol_codes=())
    (obr,) = read(order(bare, requested_procedure_code=None)).all("OBR")
    assert obr.raw(4) == "^Abdomen US"
    with_code = order(step("S1"), requested_procedure_code=None)
    assert read(with_code).all("OBR")[0].raw(4) == "USLIV^Liver^L"
    nameless = order(bare, requested_procedure_code=None, requested_procedure_description="")
    assert read(nameless).all("OBR")[0].raw(4) == "^Liver"


def test_omg_is_2_5_1_and_oru_names_the_study_in_an_observation() -> None:
    omg = read(order(), message=OrderMessage.OMG)
    assert (omg.segments[0].raw(9), omg.segments[0].get(12)) == ("OMG^O19^OMG_O19", "2.5.1")
    oru = read(order(step()), OrderEvent.IMAGES_AVAILABLE, message=OrderMessage.ORU)
    assert names(oru) == ["MSH", "PID", "PV1", "ORC", "OBR", "OBX"]
    (obx,) = oru.all("OBX")
    assert (obx.get(2), obx.raw(3), obx.get(5), obx.get(11)) == ("HD", "113014^DICOM Study^DCM", STUDY, "R")


@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda r: f"{r.message}-{r.version}")
def test_second_opinion_finds_every_segment_and_group_of_each_version(receiver: object) -> None:
    text = build(receiver, Told(order(), OrderEvent.COMPLETED, (), AT), "C1").decode()  # type: ignore[arg-type]
    parsed = parse_message(text, find_groups=False)
    assert [child.name for child in parsed.children] == [segment[:3] for segment in text.split("\r") if segment]
    without_z = "\r".join(segment for segment in text.split("\r") if not segment.startswith("ZDS"))
    grouped = parse_message(without_z, find_groups=True)
    assert grouped.to_er7().split("\r") == without_z.rstrip("\r").split("\r")
    assert not [child.name for child in grouped.children if child.name in ("PID", "ORC", "OBR")]


NASTY = "O'Neil|Ł^Ö~a\\b&c\r\n\x1c#"


def test_delimiters_in_a_value_are_escaped_and_controls_become_blanks() -> None:
    stored = order(
        step(), accession_number="A|1&2\\3", requested_procedure_description=NASTY, requested_procedure_code=None
    )
    stored = replace(stored, order=replace(stored.order, steps=(replace(step(), scheduled_protocol_codes=()),)))
    message = read(stored)
    (obr,) = message.all("OBR")
    assert obr.get(18) == "A|1&2\\3"
    assert obr.get(4, 2) == "O'Neil|Ł^Ö~a\\b&c   #"
    assert len(message.segments) == 6


def test_text_of_the_set_is_sent_in_it() -> None:
    patient = Patient("4711", "", "Müller^Zoë")
    raw = build(replace(RIS, character_set="8859/1"), Told(order(patient=patient), OrderEvent.STARTED, (), AT), "C1")
    assert "Müller^Zoë".encode("latin-1") in raw
    assert Message.read(raw, ()).segments[0].raw(18) == "8859/1"


@pytest.mark.parametrize("character_set", CHARACTER_SETS)
@pytest.mark.parametrize("name", ["Muster^Eva", "Müller^Zoë", "Łącka^Ewa", "山田^太郎", "김^희중", "Ж^Ε^א", "😀^€"])
def test_no_character_is_ever_replaced(character_set: str, name: str) -> None:
    message = read(order(patient=Patient("4711", "", name)), character_set=character_set)
    (pid,) = message.all("PID")
    assert "^".join(pid.components(5)) == name
    assert message.segments[0].raw(18) in (character_set, messages.UTF_8)


def test_set_with_an_empty_first_repetition_is_declared_as_such() -> None:
    message = read(order(patient=Patient("4711", "", "山田^太郎")), character_set="~ISO IR87")
    assert message.segments[0].raw(18) == "~ISO IR87"


def test_text_for_people_has_a_segment_a_line() -> None:
    body = build(RIS, Told(order(), OrderEvent.STARTED, ("S1",), AT), "C1")
    assert [line[:3] for line in messages.readable(body).splitlines()] == ["MSH", "PID", "PV1", "ORC", "OBR", "ZDS"]


def test_protocol_that_stands_for_the_procedure_is_not_said_twice() -> None:
    code = Code("X", "L", "")
    stored = order(replace(step(), scheduled_protocol_codes=(code,)), requested_procedure_code=Code("Y", "", ""))
    assert read(stored).all("OBR")[0].raw(4) == "Y^^^X^^L"
