"""OMI^O23 and OMG^O19: IPC and TQ1."""

from dataclasses import replace

from broker.orders import mapping_file
from broker.orders.model import Code, Origin
from tests.unit.orders.messages.said import CONTEXT, OBR, PID, message, order, refused

TQ1 = "TQ1|1||||||202602011000|202602011030|S"
ORC = "ORC|NW|P1^HIS|F1^RIS|||||||||77^Enter^Ed"
OBR_ONLY = "OBR|1|P1|F1|USABD^Abdomen US^L"


def _ipc(step: str, protocol: str = "USLIV^Liver^L", titles: str = "US1~US2", study: str = "1.2.3") -> str:
    return f"IPC|A1^RIS^1.2^ISO|RP1|{study}|{step}|US|{protocol}|ROOM1^^|ROOM|{titles}"


def test_ipc_gives_identifiers_and_step() -> None:
    change = order(PID, ORC, TQ1, OBR_ONLY, _ipc("S1"), kind="OMI^O23")
    (step,) = change.order.steps
    assert (change.order.accession_number, change.order.requested_procedure_id) == ("A1", "RP1")
    assert change.order.study_instance_uid == "1.2.3"
    assert step.scheduled_station_ae_titles == ("US1", "US2")
    assert (step.scheduled_procedure_step_description, step.scheduled_protocol_codes) == (
        "Liver",
        (Code("USLIV", "L", "Liver"),),
    )
    assert step.attributes == {"ScheduledStationName": "ROOM1", "ScheduledProcedureStepLocation": "ROOM"}
    assert (step.scheduled_procedure_step_start_date, step.scheduled_procedure_step_start_time) == (
        "20260201",
        "100000",
    )
    assert change.origins[0, "AccessionNumber"] == Origin("IPC-1")
    assert change.origins[1, "ScheduledProcedureStepStartDate"] == Origin("TQ1-7")
    assert change.order.attributes["RequestedProcedurePriority"] == "STAT"
    assert change.order.attributes["IssuerOfAccessionNumberSequence"] == (
        '[{"LocalNamespaceEntityID": "RIS", "UniversalEntityID": "1.2", "UniversalEntityIDType": "ISO"}]'
    )


def test_each_ipc_is_a_step() -> None:
    change = order(PID, ORC, TQ1, OBR_ONLY, _ipc("S1"), _ipc("S2", "USKID^Kidney^L"), kind="OMI^O23")
    assert [step.scheduled_procedure_step_id for step in change.order.steps] == ["S1", "S2"]
    assert change.order.steps[1].scheduled_procedure_step_description == "Kidney"
    assert change.origins[2, "ScheduledProcedureStepID"] == Origin("IPC-4")


def test_protocols_of_one_step_are_the_repetitions() -> None:
    change = order(PID, ORC, TQ1, OBR_ONLY, _ipc("S1", "USLIV^Liver^L~USKID^Kidney^L"), kind="OMI^O23")
    assert [code.value for code in change.order.steps[0].scheduled_protocol_codes] == ["USLIV", "USKID"]


def test_study_of_ipc_cannot_be_cleared() -> None:
    raw = message(PID, ORC, TQ1, OBR_ONLY, _ipc("S1", study='""'), kind="OMI^O23", version="2.5.1")
    assert refused(raw) == ("AE", "102", "IPC^1^3")


def test_general_order_has_tq1_and_obr() -> None:
    change = order(PID, ORC, TQ1, OBR, "ZDS|1.2.3", kind="OMG^O19")
    assert (change.order.accession_number, change.order.study_instance_uid) == ("A1", "1.2.3")
    assert change.order.steps[0].scheduled_procedure_step_start_time == "100000"


def test_strict_preset_reads_nothing_but_ipc_and_tq1() -> None:
    strict = replace(CONTEXT, mapping=mapping_file.load("ipc"))
    change = order(PID, ORC, TQ1, OBR, _ipc("S1").replace("A1^RIS^1.2^ISO", ""), kind="OMI^O23", here=strict)
    assert change.order.accession_number == ""
    assert change.order.steps[0].modality == "US"
