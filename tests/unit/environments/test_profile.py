from collections.abc import Callable
from pathlib import Path

import pytest

from broker.environments import profile as profiles
from broker.environments.model import (
    CallTls,
    DicomLimits,
    ListenerTls,
    Protocol,
    Route,
    UnknownCallers,
    World,
)
from broker.errors import Misconfigured, NotFound

WHOLE = """
name = "test"
kind = "test"
site = "General Hospital"
timezone = "Europe/Berlin"
state = "../var/test"

[hl7]
host = "127.0.0.1"
port = 2575

[dicom]
host = "127.0.0.1"
port = 11112
ae_title = "BROKER_TEST"

[http]
host = "127.0.0.1"
port = 8081

[[destinations]]
name = "main-pacs"
protocol = "dimse"
host = "127.0.0.1"
port = 4242
ae_title = "ORTHANC"

[[destinations]]
name = "archive"
protocol = "folder"
path = "../archive"

[[routes]]
to = ["main-pacs", "archive"]
when = { device = "us-room-2", Modality = "US" }
"""

Mistakes = Callable[..., list[str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "environments" / "test.toml"
    path.parent.mkdir()
    path.write_text(WHOLE, encoding="utf-8")
    return path


@pytest.fixture
def mistakes(file: Path) -> Mistakes:
    """Read the whole profile with texts replaced, and return what is wrong without the file's name."""

    def read(*replacements: tuple[str, str]) -> list[str]:
        content = WHOLE
        for old, new in replacements:
            assert old in content
            content = content.replace(old, new)
        file.write_text(content, encoding="utf-8")
        with pytest.raises(Misconfigured) as caught:
            profiles.read(file)
        lines = str(caught.value).splitlines()
        assert all(line.startswith(f"{file}: ") for line in lines)
        return [line.removeprefix(f"{file}: ") for line in lines]

    return read


def test_whole_profile_becomes_a_value(file: Path) -> None:
    profile = profiles.read(file)
    assert (profile.name, profile.kind, profile.site) == ("test", World.TEST, "General Hospital")
    assert profile.timezone.key == "Europe/Berlin"
    assert profile.hl7.port == 2575
    assert profile.dicom.ae_title == "BROKER_TEST"
    assert profile.unknown_callers is UnknownCallers.REJECT
    assert profile.routes == (Route(("main-pacs", "archive"), (("device", ("us-room-2",)), ("Modality", ("US",)))),)
    pacs = profile.destination("main-pacs")
    assert pacs is not None
    assert (pacs.protocol, pacs.world, pacs.calling) == (Protocol.DIMSE, World.TEST, "broker")


def test_relative_paths_are_relative_to_the_file(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    profile = profiles.read(file)
    assert profile.state == tmp_path / "var" / "test"
    assert profile.database_url == f"sqlite:///{tmp_path}/var/test/broker.db"
    assert profile.destinations[1].path == tmp_path / "archive"


def test_message_kinds_default_to_the_world_of_the_profile(file: Path) -> None:
    assert profiles.read(file).hl7.processing_ids == ("T", "D")
    file.write_text(WHOLE.replace('kind = "test"', 'kind = "production"'), encoding="utf-8")
    assert profiles.read(file).hl7.processing_ids == ("P",)


def test_destinations_and_routes_may_be_empty(file: Path) -> None:
    file.write_text(WHOLE.partition("[[destinations]]")[0], encoding="utf-8")
    profile = profiles.read(file)
    assert (profile.destinations, profile.routes) == ((), ())


def test_profiles_of_the_repository_are_valid() -> None:
    folder = Path(__file__).parents[3] / "environments"
    assert [profiles.read(folder / f"{name}.toml").name for name in ("test", "production")] == ["test", "production"]


def test_every_mistake_is_named_at_once(mistakes: Mistakes) -> None:
    found = mistakes(
        ("site =", "sight ="),
        ("Europe/Berlin", "Europe/Berln"),
        ("port = 2575", "port = 99999"),
        ("port = 8081", "port = 11112"),
        ('"BROKER_TEST"', '"BROKER_TEST_ROOM2"'),
        ('to = ["main-pacs", "archive"]', 'to = ["main-pac"]'),
    )
    assert sorted(found) == [
        "dicom.ae_title: AE title 'BROKER_TEST_ROOM2' has 17 characters, at most 16 are allowed",
        "hl7.port: 99999 is not between 0 and 65535",
        "http.port: 11112 is also the port of dicom",
        "routes.#1.to: there is no destination 'main-pac': did you mean 'main-pacs'?",
        "sight: unknown key: did you mean 'site'?",
        "timezone: unknown time zone 'Europe/Berln': did you mean 'Europe/Berlin'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ('name = "test"', "", "name: is missing"),
        ('name = "test"', "name = 3", "name: must be a text, is a whole number"),
        ('name = "test"', 'name = "a b"', "name: 'a b' must be 1 to 64 letters"),
        ('name = "test"', 'name = "a\\u001b"', "name: has a control character"),
        ('kind = "test"', 'kind = "tset"', "kind: 'tset' is none of 'test', 'production': did you mean 'test'?"),
        ("port = 2575", 'port = "2575"', "hl7.port: must be a whole number, is a text"),
        ("port = 2575", "port = true", "hl7.port: must be a whole number, is true or false"),
        ("port = 2575", "port = -1", "hl7.port: -1 is not between 0 and 65535"),
        ("port = 2575", 'port = 1\nprocessing_ids = ["X"]', "hl7.processing_ids: 'X' is none of 'P', 'T', 'D'"),
        ("port = 2575", "port = 1\nprocessing_ids = []", "hl7.processing_ids: no message would be taken"),
        ('"BROKER_TEST"', '"A\\\\B"', "dicom.ae_title: AE title 'A\\\\B' has a backslash"),
        ('"BROKER_TEST"', '"  "', "dicom.ae_title: an AE title cannot be empty or blank"),
        ('"BROKER_TEST"', '"A"\naliases = ["A"]', "dicom.aliases: 'A' is the ae_title itself"),
        ('"BROKER_TEST"', '"A"\naliases = ["B", "B"]', "dicom.aliases: 'B' stands there twice"),
        ('"BROKER_TEST"', '"A"\naliases = "B"', "dicom.aliases: must be a list of texts, is a text"),
        ('timezone = "Europe/Berlin"', 'timezone = "../etc"', "timezone: unknown time zone '../etc'"),
        ('timezone = "Europe/Berlin"', 'timezone = "Europe"', "timezone: unknown time zone 'Europe'"),
        ('name = "archive"', 'name = "main-pacs"', "destinations.main-pacs.name: there are two destinations"),
        ('name = "archive"', 'name = "no-route"', "destinations.no-route.name: 'no-route' has a meaning of its own"),
        ("port = 4242", "port = 0", "destinations.main-pacs.port: 0 is not between 1 and 65535"),
        ("port = 4242", 'port = 1\nworld = "production"', "destinations.main-pacs.world: a destination of the prod"),
        ('"dimse"', '"stow"', "destinations.main-pacs.url: is missing"),
        ('"dimse"', '"ftp"', "destinations.main-pacs.protocol: 'ftp' is none of"),
        ('path = "../archive"', 'path = "../archive"\nport = 3', "destinations.archive.port: unknown key"),
        ('"ORTHANC"', '"ORTHANC"\ncalling = "A\\\\B"', "destinations.main-pacs.calling: AE title"),
        ('to = ["main-pacs", "archive"]', "to = []", "routes.#1.to: names no destination"),
        ('to = ["main-pacs", "archive"]', 'to = ["archive", "archive"]', "routes.#1.to: 'archive' stands there twice"),
        (
            "Modality =",
            "Modalty =",
            "routes.#1.when.Modalty: is neither device, calling, called, order, time nor a DICOM keyword",
        ),
        ("Modality =", "PixelData =", "routes.#1.when.PixelData: has no value that a text could equal"),
        ('Modality = "US"', "Modality = 3", "routes.#1.when.Modality: must be a text"),
        ("[http]", '[database]\nurl = "mysql://x"\n[http]', "database.url: must begin with 'sqlite:///' or"),
        ("[http]", '[database]\nurl = "sqlite:///:memory:"\n[http]', "database.url: a database in memory would forget"),
        ("[http]", "[[http]]", "http: must be a table, is a list"),
        ('"BROKER_TEST"', '"B"\nplain = false', "dicom.plain: no listener would be left: add [dicom.tls]"),
        ('"BROKER_TEST"', '"B"\nplain = 1', "dicom.plain: must be true or false, is a whole number"),
        (
            "[http]",
            "[dicom.limits]\nassociations = 0\n[http]",
            "dicom.limits.associations: 0 is not between 1 and 4096",
        ),
        ("[http]", "[dicom.limits]\nidle = 3\n[http]", "dicom.limits.idle: unknown key"),
        ("[http]", "[dicom.limits]\nobject_bytes = 3\n[http]", "dicom.limits.object_bytes: 3 is not between"),
        ('"ORTHANC"', '"O"\ntls = { key = "k" }', "destinations.main-pacs.tls.certificate: is missing: key is there"),
        ('"ORTHANC"', '"O"\ntls = true', "destinations.main-pacs.tls: must be a table, is true or false"),
        ('path = "../archive"', 'path = "a"\ntls = {}', "destinations.archive.tls: unknown key"),
    ],
)
def test_mistake_is_refused_with_its_key_and_reason(mistakes: Mistakes, old: str, new: str, mistake: str) -> None:
    found = mistakes((old, new))
    assert any(line.startswith(mistake) for line in found), found


def test_missing_table_is_one_mistake_not_one_a_key(mistakes: Mistakes) -> None:
    assert mistakes(('[http]\nhost = "127.0.0.1"\nport = 8081', "")) == ["http: is missing"]


def test_accepting_unknown_callers_is_refused_in_production_only(mistakes: Mistakes, file: Path) -> None:
    accepting = ("[http]", '[policy]\nunknown_callers = "accept"\n[http]')
    found = mistakes(('kind = "test"', 'kind = "production"'), accepting)
    assert found == ["policy.unknown_callers: 'accept' is refused in production: register each device"]
    file.write_text(WHOLE.replace(*accepting), encoding="utf-8")
    assert profiles.read(file).unknown_callers is UnknownCallers.ACCEPT


TLS = """
[dicom.tls]
port = 2762
certificate = "tls/broker.pem"
key = "tls/broker.key"
trusted = "/etc/hospital/devices.pem"
"""


def test_tls_names_files_relative_to_the_profile_and_follows_no_link_yet(file: Path, tmp_path: Path) -> None:
    (file.parent / "tls").mkdir()
    (file.parent / "tls" / "broker.pem").symlink_to("generation-1.pem")
    tls = 'tls = { trusted = "tls/pacs-ca.pem", checks_host = false }\n'
    file.write_text(WHOLE.replace('"ORTHANC"\n', f'"ORTHANC"\n{tls}') + TLS, encoding="utf-8")
    profile = profiles.read(file)
    folder = tmp_path / "environments" / "tls"
    assert profile.dicom.tls == ListenerTls(
        2762, folder / "broker.pem", folder / "broker.key", Path("/etc/hospital/devices.pem")
    )
    assert profile.destinations[0].tls == CallTls(None, None, folder / "pacs-ca.pem", checks_host=False)
    assert profile.ports == {"hl7": 2575, "dicom": 11112, "dicom_tls": 2762, "http": 8081}


def test_plain_listener_may_be_left_out_beside_tls(file: Path) -> None:
    file.write_text(WHOLE.replace('"BROKER_TEST"', '"BROKER_TEST"\nplain = false') + TLS, encoding="utf-8")
    assert profiles.read(file).ports == {"hl7": 2575, "dicom_tls": 2762, "http": 8081}


def test_mistakes_of_tls_are_named_at_once(mistakes: Mistakes) -> None:
    found = mistakes(
        ("[http]", "[dicom.tls]\nport = 2575\ncertificate = ''\nclient_certificates = 'optional'\ntrust = 'x'\n[http]")
    )
    assert sorted(found) == [
        "dicom.tls.certificate: must not be empty",
        "dicom.tls.client_certificates: 'optional' is none of 'required', 'none'",
        "dicom.tls.key: is missing",
        "dicom.tls.port: 2575 is also the port of hl7",
        "dicom.tls.trust: unknown key: did you mean 'trusted'?",
    ]


def test_whom_to_trust_is_asked_unless_anybody_may_call(mistakes: Mistakes, file: Path) -> None:
    tls = TLS.replace('trusted = "/etc/hospital/devices.pem"\n', "")
    assert mistakes(("[http]", f"{tls}[http]")) == [
        "dicom.tls.trusted: is missing: who issues the callers' certificates? Or client_certificates = 'none'"
    ]
    file.write_text(WHOLE + tls + 'client_certificates = "none"\n', encoding="utf-8")
    assert profiles.read(file).dicom.tls is not None


def test_limits_have_defaults_and_may_be_set(file: Path) -> None:
    assert profiles.read(file).dicom.limits == DicomLimits(256, 300, 4 * 1024**3)
    file.write_text(WHOLE + "[dicom.limits]\nassociations = 12\nobject_bytes = 10_000_000\n", encoding="utf-8")
    assert profiles.read(file).dicom.limits == DicomLimits(12, 300, 10_000_000)


def test_any_free_port_may_be_asked_for_more_than_once(file: Path) -> None:
    file.write_text(WHOLE.replace("2575", "0").replace("11112", "0").replace("8081", "0"), encoding="utf-8")
    assert profiles.read(file).dicom.port == 0


def test_syntax_error_names_its_line(mistakes: Mistakes) -> None:
    assert mistakes(("port = 8081", "port 8081"))[0].startswith("line 19, column 6: is not TOML: ")


def test_other_encoding_than_utf_8_names_its_line(file: Path) -> None:
    file.write_bytes(WHOLE.replace("General Hospital", "Süd").encode("latin-1"))
    with pytest.raises(Misconfigured, match=r"test\.toml: line 4: is not UTF-8"):
        profiles.read(file)


def test_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="file: cannot be read: Is a directory"):
        profiles.read(tmp_path)


def test_secret_of_the_database_comes_from_the_process_environment(
    file: Path, mistakes: Mistakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DB_SECRET", raising=False)
    url = ("[http]", '[database]\nurl = "postgresql+psycopg://b:${ENV:DB_SECRET}@db/x"\n[http]')
    assert mistakes(url) == ["database.url: the environment variable 'DB_SECRET' is not set"]
    monkeypatch.setenv("DB_SECRET", "s3cret")
    assert profiles.read(file).database_url == "postgresql+psycopg://b:s3cret@db/x"


def test_profile_is_found_by_name_and_by_path(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_ENVIRONMENTS", str(file.parent))
    assert profiles.find("test") == file
    assert profiles.find(str(file)) == file
    assert profiles.available() == [file]
    with pytest.raises(NotFound, match="there is no environment 'tset': did you mean 'test'"):
        profiles.find("tset")


def test_profiles_are_looked_for_in_the_working_directory_by_default(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BROKER_ENVIRONMENTS", raising=False)
    monkeypatch.chdir(file.parent.parent)
    assert profiles.find("test") == Path("environments/test.toml")
