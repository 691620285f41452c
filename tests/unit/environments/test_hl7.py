"""The HL7 table of a profile: who may send what, and each sender's habits."""

from pathlib import Path

import pytest

from broker.environments import profile as profiles
from broker.environments.model import (
    AcknowledgedBy,
    Appointments,
    ClientCertificates,
    Hl7Settings,
    LateStatements,
    UnknownCallers,
)
from broker.errors import Misconfigured
from tests.unit.environments.test_profile import WHOLE

_PLAIN = '[hl7]\nhost = "127.0.0.1"\nport = 2575\n'


def read(tmp_path: Path, hl7: str) -> Hl7Settings:
    assert _PLAIN in WHOLE
    file = tmp_path / "test.toml"
    file.write_text(WHOLE.replace(_PLAIN, hl7), encoding="utf-8")
    return profiles.read(file).hl7


def mistakes(tmp_path: Path, hl7: str) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        read(tmp_path, hl7)
    return [line.partition(": ")[2] for line in str(caught.value).splitlines()]


def test_without_sources_every_sender_has_the_habits_of_the_listener(tmp_path: Path) -> None:
    settings = read(tmp_path, _PLAIN + 'patient_authority = "HOSP"\nlate = "all"\n')
    assert settings.sources == ()
    assert settings.unknown_sources is UnknownCallers.ACCEPT
    assert settings.default.patient_authority == "HOSP"
    assert settings.default.late is LateStatements.ALL
    assert settings.default.processing_ids == ("T", "D")
    assert settings.default.timezone.key == "Europe/Berlin"


def test_a_source_has_the_listener_s_habits_where_it_says_nothing(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        _PLAIN
        + 'patient_authority = "HOSP"\nunknown_sources = "reject"\n'
        + '[[hl7.sources]]\nname = "ris"\nsending_application = "RIS"\naddresses = ["10.1.0.0/16"]\n'
        + 'processing_ids = ["P", ""]\nacknowledged_by = "order"\nappointments = "create"\ntimezone = "Asia/Tokyo"\n'
        + '[[hl7.sources]]\nname = "his"\nsending_facility = "WARD"\npatient_authority = "WARD"\n',
    )
    ris, his = settings.sources
    assert (ris.name, ris.sending_application, ris.addresses) == ("ris", "RIS", ("10.1.0.0/16",))
    assert ris.processing_ids == ("P", "")
    assert (ris.acknowledged_by, ris.appointments) == (AcknowledgedBy.ORDER, Appointments.CREATE)
    assert (ris.patient_authority, his.patient_authority) == ("HOSP", "WARD")
    assert (ris.timezone.key, his.timezone.key) == ("Asia/Tokyo", "Europe/Berlin")
    assert his.processing_ids == ("T", "D")
    assert settings.unknown_sources is UnknownCallers.REJECT


def test_a_source_may_name_the_receivers_under_which_it_means_us(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        _PLAIN
        + 'receiving_applications = ["BROKER"]\nreceiving_facilities = ["HOSP"]\n'
        + '[[hl7.sources]]\nname = "ris"\nsending_application = "RIS"\nreceiving_applications = ["MWL", ""]\n',
    )
    assert settings.default.receiving_applications == ("BROKER",)
    assert settings.sources[0].receiving_applications == ("MWL", "")
    assert settings.sources[0].receiving_facilities == ("HOSP",)


def test_a_mapping_file_is_found_beside_the_profile(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('base = "ihe-swf"\n', encoding="utf-8")
    settings = read(tmp_path, _PLAIN + 'mapping = "site.toml"\n')
    assert settings.default.mapping == str(tmp_path / "site.toml")


def test_the_tls_listener_has_a_port_of_its_own_and_may_be_the_only_one(tmp_path: Path) -> None:
    tls = '[hl7.tls]\nport = 2576\ncertificate = "c.pem"\nkey = "k.pem"\ntrusted = "ca.pem"\n'
    settings = read(tmp_path, _PLAIN + "plain = false\n" + tls)
    assert settings.tls is not None
    assert settings.tls.port == 2576
    assert settings.tls.client_certificates is ClientCertificates.REQUIRED
    assert settings.tls.certificate == tmp_path / "c.pem"


@pytest.mark.parametrize(
    ("hl7", "mistake"),
    [
        (_PLAIN + "plain = false\n", "hl7.plain: no listener would be left: add [hl7.tls]"),
        (_PLAIN + 'unknown_sources = "reject"\n', "hl7.unknown_sources: 'reject' without any [[hl7.sources]]"),
        (_PLAIN + 'allow = ["10.1.0.0/99"]\n', "hl7.allow: '10.1.0.0/99' is no address or network"),
        (_PLAIN + 'mapping = "lost.toml"\n', "hl7.mapping: there is no file "),
        (_PLAIN + 'processing_ids = ["X"]\n', "hl7.processing_ids: 'X' is none of 'P', 'T', 'D'"),
        (_PLAIN + 'processing_ids = [""]\n', "hl7.processing_ids: '' is none of 'P', 'T', 'D'"),
        (_PLAIN + f'patient_authority = "{"A" * 65}"\n', "hl7.patient_authority: has more than 64 characters"),
        (_PLAIN + '[[hl7.sources]]\nname = "ris"\n', "hl7.sources.ris.sending_application: is missing"),
        (
            _PLAIN + '[[hl7.sources]]\nname = "ris"\nsending_application = "R"\nadress = "x"\n',
            "hl7.sources.ris.adress: unknown key: did you mean 'addresses'?",
        ),
        (
            _PLAIN + '[[hl7.sources]]\nname = "ris"\nsending_application = "R"\ntimezone = "Europe/Berln"\n',
            "hl7.sources.ris.timezone: unknown time zone 'Europe/Berln': did you mean 'Europe/Berlin'?",
        ),
        (
            _PLAIN + 2 * '[[hl7.sources]]\nname = "ris"\nsending_application = "R"\n',
            "hl7.sources: there are two sources 'ris'",
        ),
    ],
)
def test_a_mistake_is_named_with_its_key(tmp_path: Path, hl7: str, mistake: str) -> None:
    assert [line for line in mistakes(tmp_path, hl7) if line.startswith(mistake)]
