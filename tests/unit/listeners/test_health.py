"""/healthz, /readyz and /metrics over a socket."""

import json
from collections.abc import Iterator, Mapping
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from broker.errors import Unavailable
from broker.listeners.health import HealthServer, exposition


class Facts:
    def __init__(self) -> None:
        self.is_well = True

    def ready(self) -> Mapping[str, object]:
        if not self.is_well:
            raise Unavailable("the database does not answer")
        return {"environment": "test"}

    def numbers(self) -> Mapping[str, float]:
        self.ready()
        return {'broker_x{a="1"}': 1, "broker_y_total": 2, 'broker_x{a="2"}': 3.5}


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def url(facts: Facts) -> Iterator[str]:
    server = HealthServer("127.0.0.1", 0, facts.ready, facts.numbers)
    yield f"http://127.0.0.1:{server.start()}"
    server.stop(5)


def get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_what_is_well_says_so(url: str) -> None:
    assert get(f"{url}/healthz") == (200, "ok\n")
    status, text = get(f"{url}/readyz")
    assert (status, json.loads(text)) == (200, {"ready": True, "environment": "test"})
    assert get(f"{url}/metrics")[0] == 200
    assert get(f"{url}/else")[0] == 404


def test_what_is_not_says_why(url: str, facts: Facts) -> None:
    facts.is_well = False
    status, text = get(f"{url}/readyz")
    assert (status, json.loads(text)) == (503, {"ready": False, "why": "the database does not answer"})
    assert get(f"{url}/metrics") == (503, "the database does not answer\n")
    assert get(f"{url}/healthz")[0] == 200


def test_metrics_of_one_name_stand_together_below_their_type(facts: Facts) -> None:
    assert exposition(facts.numbers()).splitlines() == [
        "# TYPE broker_x gauge",
        'broker_x{a="1"} 1',
        'broker_x{a="2"} 3.5',
        "# TYPE broker_y_total counter",
        "broker_y_total 2",
    ]
