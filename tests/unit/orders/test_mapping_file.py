"""Presets, a site's overrides, and every mistake by file and key."""

from pathlib import Path

import pytest

from broker.errors import Misconfigured
from broker.orders import mapping_file
from broker.orders.mapping import Form, Mapping, Rule


def _load(tmp_path: Path, text: str) -> Mapping:
    file = tmp_path / "site.toml"
    file.write_text(text, encoding="utf-8")
    return mapping_file.load(str(file))


def _mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        _load(tmp_path, text)
    file = str(tmp_path / "site.toml")
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    return [line.removeprefix(f"{file}: ") for line in lines]


def _rule(rules: tuple[Rule, ...], keyword: str) -> Rule:
    return next(rule for rule in rules if rule.keyword == keyword)


def _paths(rules: tuple[Rule, ...], keyword: str) -> list[str]:
    return [source.path for source in _rule(rules, keyword).sources]


@pytest.mark.parametrize("name", ["ihe-swf", "filler-number", "ipc"])
def test_preset_is_whole(name: str) -> None:
    mapping = mapping_file.load(name)
    assert mapping.name == name
    assert {rule.keyword for rule in mapping.patient} >= {"PatientID", "PatientName", "OtherPatientIDsSequence"}
    assert {rule.keyword for rule in mapping.step} >= {"Modality", "ScheduledProcedureStepStartDate"}


def test_presets_differ_where_they_say() -> None:
    assert mapping_file.presets() == ("filler-number", "ihe-swf", "ipc")
    assert _paths(mapping_file.load("ihe-swf").order, "AccessionNumber") == ["IPC-1", "OBR-18"]
    assert _paths(mapping_file.load("filler-number").order, "AccessionNumber") == ["OBR-3", "ORC-3"]
    assert _paths(mapping_file.load("ipc").order, "AccessionNumber") == ["IPC-1"]
    assert _paths(mapping_file.load("filler-number").step, "Modality") == _paths(
        mapping_file.load("ihe-swf").step, "Modality"
    )


def test_preset_is_loaded_once() -> None:
    assert mapping_file.load("ihe-swf") is mapping_file.load("ihe-swf")


def test_site_overrides_single_attributes(tmp_path: Path) -> None:
    mapping = _load(
        tmp_path,
        """
base = "ihe-swf"
[identity]
types = ["pi"]
authorities = ["HOSP"]
[tables.modalities]
ultra = "US"
[tables.procedure_modalities]
USABD = "US"
[order]
AccessionNumber = "OBR-20"
StudyID = ["ZDS-2"]
ReasonForTheRequestedProcedure = []
[step]
Modality = { default = "US" }
ScheduledProcedureStepStartDate = ["OBR-36"]
""",
    )
    assert mapping.name == "site"
    assert (mapping.patient_id_types, mapping.patient_authorities) == (("PI",), ("HOSP",))
    accession = _rule(mapping.order, "AccessionNumber")
    assert (accession.form, [source.path for source in accession.sources]) == (Form.SHORT_IDENTIFIER, ["OBR-20"])
    assert _rule(mapping.order, "StudyID").form is Form.SHORT
    assert _rule(mapping.order, "ReasonForTheRequestedProcedure").sources == ()
    modality = _rule(mapping.step, "Modality")
    assert modality.default == "US"
    assert modality.table is not None
    assert (modality.table["ULTRA"], modality.table["RUS"]) == ("US", "US")
    assert [source.path for source in modality.sources] == ["IPC-5", "OBR-24", "OBR-4", "ORC-18"]
    assert modality.sources[2].table == {"USABD": "US"}


def test_start_s_time_follows_its_date(tmp_path: Path) -> None:
    mapping = _load(tmp_path, 'base = "ihe-swf"\n[step]\nScheduledProcedureStepStartDate = ["OBR-36"]')
    assert _paths(mapping.step, "ScheduledProcedureStepStartTime") == ["OBR-36"]
    assert mapping.step[-1].keyword == "ScheduledProcedureStepStartTime"


def test_every_mistake_is_named(tmp_path: Path) -> None:
    assert _mistakes(
        tmp_path,
        """
base = "ihe-swv"
colour = "red"
[tables]
modalities = 3
[tables.priorities]
S = 1
[patient]
PatientNam = ["PID-5"]
PatientID = 3
[order]
AccessionNumber = ["OBR18", "OBR-4 in procedure_modality"]
RequestedProcedurePriority = { as = "meanings", from = ["ORC-7.6"], table = "priority" }
ReasonForTheRequestedProcedure = { as = "date", from = ["OBR-31"] }
PatientTransportArrangements = { form = "OBR-30" }
[step]
ScheduledProcedureStepStartDate = { made = ["message-tim"] }
""".replace("modalities = 3\n", ""),
    ) == [
        "base: 'ihe-swv' is none of 'filler-number', 'ihe-swf', 'ipc': did you mean 'ihe-swf'?",
        "tables.priorities.S: must be a text",
        "patient.PatientNam: is no DICOM keyword: did you mean 'PatientName'?",
        "patient.PatientID: must be a list of sources, or a table with `from`",
        "order.RequestedProcedurePriority.as: 'meanings' is none of "
        + ", ".join(repr(form.value) for form in Form)
        + ": did you mean 'meaning'?",
        "order.ReasonForTheRequestedProcedure.as: 'date' gives no value of ReasonForTheRequestedProcedure,"
        " whose VR is LO",
        "order.PatientTransportArrangements.form: unknown key: did you mean 'from'?",
        "step.ScheduledProcedureStepStartDate.made: 'message-tim' is none of 'message-time', 'midnight'"
        ": did you mean 'message-time'?",
        "colour: unknown key",
        "order.AccessionNumber.from: 'OBR18' is no SEG-field[.component[.subcomponent]]",
        "order.AccessionNumber.from: there is no table 'procedure_modality' under [tables]",
        "order.RequestedProcedurePriority.table: there is no table 'priority' under [tables]"
        ": did you mean 'priorities'?",
    ]


def test_file_without_base_is_refused(tmp_path: Path) -> None:
    assert _mistakes(tmp_path, "[order]\n") == ["base: is missing"]


def test_syntax_error_names_its_line(tmp_path: Path) -> None:
    (mistake,) = _mistakes(tmp_path, 'base = "ihe-swf"\n[order\n')
    assert mistake.startswith("line 2")


def test_unknown_preset_is_named_with_the_nearest() -> None:
    with pytest.raises(Misconfigured, match="did you mean 'ihe-swf'"):
        mapping_file.load("ihe-sfw")


def test_file_that_is_not_there_is_named() -> None:
    with pytest.raises(Misconfigured, match=r"/nowhere/site\.toml: cannot be read"):
        mapping_file.load("/nowhere/site.toml")
