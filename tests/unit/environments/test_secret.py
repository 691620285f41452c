"""Secrets by reference: read when they are needed, and never repeated."""

from pathlib import Path

import pytest

from broker.environments.reading import parse
from broker.environments.secret import Secret, read_secret
from broker.errors import Misconfigured

FILE = Path("/profiles/test.toml")


def read(text: str) -> Secret:
    root = parse(text.encode(), "test.toml")
    secret = read_secret(root, "password", FILE)
    root.finish()
    root.mistakes.stop()
    return secret


def test_a_secret_is_where_the_profile_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACS_PASSWORD", "s3cret")
    assert read('password = { env = "PACS_PASSWORD" }').read() == "s3cret"
    assert read('password = { file = "pacs.secret" }') == Secret(file=Path("/profiles/pacs.secret"))


def test_a_profile_can_be_read_without_its_secrets() -> None:
    assert read('password = { env = "NO_SUCH_VARIABLE" }') == Secret("NO_SUCH_VARIABLE")


def test_a_file_is_read_anew_without_the_line_break_of_an_editor(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("before\n")
    secret = Secret(file=file)
    assert secret.read() == "before"
    file.write_text("päss word \r\n")
    assert secret.read() == "päss word "
    assert "before" not in repr(secret)


def test_who_can_read_a_file_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch(mode=0o640)
    assert not Secret(file=file).is_open()
    file.chmod(0o644)
    assert Secret(file=file).is_open()
    assert not Secret("VARIABLE").is_open()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "password: is missing"),
        ('password = "hunter2"', "password: must be { env"),
        ("password = 3", "password: must be a table"),
        ("password = {}", "password: must have one of env and file"),
        ('password = { env = "A", file = "b" }', "password: must have one of env and file"),
        ('password = { evn = "A" }', "password.evn: unknown key: did you mean 'env'?"),
    ],
)
def test_mistake_is_named_and_a_secret_that_stands_there_is_not_repeated(text: str, mistake: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        read(text)
    assert f"test.toml: {mistake}" in str(raised.value)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"one\ntwo", "control character"),
        (b"a\x00b", "control character"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"x" * 70_000, "is longer than a secret is"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused_by_its_name(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(Misconfigured, match=reason) as raised:
        Secret(file=file).read()
    assert str(file) in str(raised.value)


def test_a_secret_that_is_not_there_is_refused_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"\$NO_SUCH_VARIABLE is not set"):
        Secret("NO_SUCH_VARIABLE").read()
    with pytest.raises(Misconfigured, match="cannot be read: No such file"):
        Secret(file=tmp_path / "none").read()
