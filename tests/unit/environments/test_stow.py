"""A destination by STOW-RS: defaults, each login, and each mistake by its key."""

from pathlib import Path

import pytest

from broker.environments.reading import parse
from broker.environments.secret import Secret
from broker.environments.stow import (
    ClientAuthentication,
    Login,
    LoginMethod,
    Proxy,
    StowSettings,
    read_base_url,
    read_stow,
)
from broker.errors import Misconfigured

URL = 'url = "https://pacs.example/dicom-web"\n'
FILE = Path("/profiles/test.toml")


def read(text: str) -> tuple[str, StowSettings]:
    root = parse(text.encode(), "test.toml")
    url = read_base_url(root)
    settings = read_stow(root, url, FILE)
    root.finish()
    root.mistakes.stop()
    return url, settings


def test_a_url_is_enough() -> None:
    assert read(URL) == ("https://pacs.example/dicom-web", StowSettings())
    assert read('url = "http://127.0.0.1:8042/dicom-web/"')[0] == "http://127.0.0.1:8042/dicom-web"


def test_every_key_is_read() -> None:
    _, settings = read(
        URL + "batch_instances = 1\nbatch_megabytes = 10\ntimeout_seconds = 5\n"
        '[proxy]\nurl = "http://proxy:3128"\nuser = "broker"\npassword = { file = "proxy.secret" }\n'
        '[login]\nmethod = "basic"\nuser = "broker"\npassword = { env = "PACS" }\n'
    )
    proxy = Secret(file=Path("/profiles/proxy.secret"))
    assert settings.login == Login(LoginMethod.BASIC, Secret("PACS"), "broker")
    assert settings.proxy == Proxy("http://proxy:3128", "broker", proxy)
    assert (settings.batch_instances, settings.batch_megabytes, settings.timeout_seconds) == (1, 10, 5)
    assert settings.secrets == (Secret("PACS"), proxy)


def test_a_token_and_client_credentials_are_read() -> None:
    _, bearer = read(URL + '[login]\nmethod = "bearer"\ntoken = { file = "token" }')
    assert bearer.login == Login(LoginMethod.BEARER, Secret(file=Path("/profiles/token")))
    _, oauth2 = read(
        URL + '[login]\nmethod = "oauth2"\ntoken_url = "https://login.example/token"\nclient_id = "broker"\n'
        'client_secret = { env = "SECRET" }\nscope = "dicom"\naudience = "pacs"\nclient_authentication = "body"\n'
        'trusted = "ca.pem"'
    )
    assert oauth2.login == Login(
        LoginMethod.OAUTH2,
        Secret("SECRET"),
        "broker",
        "https://login.example/token",
        "dicom",
        "pacs",
        ClientAuthentication.BODY,
        Path("/profiles/ca.pem"),
    )


BASIC = '[login]\nmethod = "basic"\nuser = "broker"\npassword = { env = "PACS" }\n'
OAUTH2 = '[login]\nmethod = "oauth2"\nclient_id = "b"\nclient_secret = { env = "S" }\ntoken_url = '


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "url: is missing"),
        ('url = "ftp://pacs.example"', "url: must begin with https:// or http://"),
        ('url = "pacs.example/dicom-web"', "url: must begin with"),
        ('url = "https://broker:hunter2@pacs.example"', "url: must not have a user or password"),
        ('url = "https://"', "url: names no host"),
        ('url = "https://pacs.example:99999/"', "url: must begin with"),
        ('url = "https://pacs.example/a b"', "url: must begin with"),
        ('url = "https://pacs.example/x?key=hunter2"', "url: must not have a query"),
        ('url = "https://pacs.example/studies"', "url: must be the base, without /studies"),
        (URL + "batch_instances = 51", "batch_instances: 51 is not between 1 and 50"),
        (URL + "batch_instnces = 5", "batch_instnces: unknown key: did you mean 'batch_instances'?"),
        (URL + "[logni]", "logni: unknown key: did you mean 'login'?"),
        (URL + "[login]", "login.method: is missing"),
        (URL + '[login]\nmethod = "digest"', "login.method: 'digest' is none of 'basic', 'bearer', 'oauth2'"),
        (URL + '[login]\nmethod = "basic"\nuser = "b"\npassword = "hunter2"', "login.password: must be { env"),
        (URL + BASIC + 'token = { env = "A" }', "login.token: unknown key"),
        (URL + BASIC.replace('"broker"', '"bro:ker"'), "login.user: must not have a colon"),
        (URL + OAUTH2 + '"http://login.example/token"', "login.token_url: must begin with https://: over http"),
        ('url = "http://pacs.example"\n' + BASIC, "url: must begin with https://: over http the login"),
        (URL + '[proxy]\nurl = "http://u:hunter2@proxy"', "proxy.url: must not have a user or password"),
        (URL + '[proxy]\nurl = "http://proxy/path"', "proxy.url: a proxy has no path"),
        (URL + '[proxy]\nurl = "http://proxy"\nuser = "b"', "proxy.password: is missing"),
        (URL + '[proxy]\nurl = "http://proxy"\npassword = { env = "A" }', "proxy.user: is missing"),
    ],
)
def test_mistake_is_refused_with_its_key_and_no_secret(text: str, mistake: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        read(text)
    assert f"test.toml: {mistake}" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_a_login_over_http_is_for_this_machine_alone() -> None:
    assert read('url = "http://127.0.0.1:8042"\n' + BASIC)[1].login is not None
    assert read('url = "http://pacs.example"')[1].login is None
