"""What the status of an HTTP answer to a STOW-RS request means (PS3.18 10.5.3, RFC 9110). The only such table.

What is said of a single instance inside the answer (FailureReason, WarningReason) is a DIMSE status: `state.py`'s.
"""

from dataclasses import dataclass
from enum import Enum, auto

from broker.errors import Unavailable

LONGEST_PAUSE_SECONDS = 3600.0
"""How long a destination is obeyed that asks us to come back later (Retry-After)."""


class Kind(Enum):
    """Whom a status speaks of, and so what is done."""

    STATED = auto()  # what became of each instance stands in the body
    INSTANCE = auto()  # something in this request is refused: each instance is sent alone, and one alone is parked
    UNKNOWN = auto()  # it failed at work: any instance may or may not be stored
    LATER = auto()  # the destination needs time; nothing is stored
    CONFIGURATION = auto()  # the destination takes nothing until a person changes something; nothing is stored


@dataclass(frozen=True, slots=True)
class Rule:
    """What a status means: whom it speaks of, and in words."""

    kind: Kind
    text: str


_MOVED = "it redirects, which is not followed with images and a login: correct url"
_NO_SERVICE = "there is no STOW-RS at this address: correct url, which is the base without /studies"
_FAILED = "it failed at its work: look at its log"

RULES: dict[int, Rule] = {
    200: Rule(Kind.STATED, "stored"),
    202: Rule(Kind.STATED, "some stored, some not, or with warnings"),
    300: Rule(Kind.CONFIGURATION, _MOVED),
    301: Rule(Kind.CONFIGURATION, _MOVED),
    302: Rule(Kind.CONFIGURATION, _MOVED),
    303: Rule(Kind.CONFIGURATION, _MOVED),
    307: Rule(Kind.CONFIGURATION, _MOVED),
    308: Rule(Kind.CONFIGURATION, _MOVED),
    # The standard's "none stored, malformed"; Orthanc's DICOMweb says so of any request of which it stored none.
    400: Rule(Kind.STATED, "it finds the request or the instance malformed: look at its log, then retry"),
    401: Rule(Kind.CONFIGURATION, "it does not take our login: check login and its secret"),
    402: Rule(Kind.CONFIGURATION, "it wants to be paid first"),
    403: Rule(Kind.CONFIGURATION, "our login may not store there: give it the right"),
    404: Rule(Kind.CONFIGURATION, _NO_SERVICE),
    405: Rule(Kind.CONFIGURATION, _NO_SERVICE),
    406: Rule(Kind.CONFIGURATION, "it answers neither in JSON nor in XML of DICOM"),
    407: Rule(Kind.CONFIGURATION, "the proxy does not take our login: check proxy and its secret"),
    408: Rule(Kind.UNKNOWN, "it waited too long for the request: a slow line, or batches that are too large for it"),
    409: Rule(Kind.STATED, "it finds a conflict with what it has: look at its log, then retry"),
    410: Rule(Kind.CONFIGURATION, _NO_SERVICE),
    411: Rule(Kind.CONFIGURATION, "it misses Content-Length, which we send: something between us takes it away"),
    413: Rule(Kind.INSTANCE, "it is too large for it: raise the limit there, or of a proxy between us, then retry"),
    415: Rule(Kind.INSTANCE, "it does not take this media type or transfer syntax: allow it there, then retry"),
    421: Rule(Kind.CONFIGURATION, _NO_SERVICE),
    422: Rule(Kind.STATED, "it cannot understand it: look at its log, then retry"),
    426: Rule(Kind.CONFIGURATION, "it wants another protocol than HTTP/1.1"),
    429: Rule(Kind.LATER, "it takes no more for now"),
    501: Rule(Kind.CONFIGURATION, "it does not offer STOW-RS"),
    503: Rule(Kind.LATER, "it is overloaded or stopped"),
    505: Rule(Kind.CONFIGURATION, "it wants another protocol than HTTP/1.1"),
    507: Rule(Kind.LATER, "it is out of storage"),
    511: Rule(Kind.CONFIGURATION, "the network wants a login first"),
}

_BY_CLASS: dict[int, Rule] = {
    2: Rule(Kind.STATED, "done"),
    3: Rule(Kind.CONFIGURATION, _MOVED),
    4: Rule(Kind.INSTANCE, "look at its log, then retry"),
    5: Rule(Kind.UNKNOWN, _FAILED),
}
_NO_HTTP = Rule(Kind.CONFIGURATION, "that is no status of HTTP: correct url")


def rule(status: int) -> Rule:
    """Return what a status means; one that has no rule of its own means what its class means (RFC 9110 15)."""
    return RULES.get(status) or _BY_CLASS.get(status // 100) or _NO_HTTP


def is_success(status: int) -> bool:
    """Tell whether an instance may have been stored by the request that is answered so."""
    return status // 100 == 2


def refusal_text(status: int) -> str:
    """Return why an instance that was sent alone is parked."""
    return f"the destination refused it with HTTP {status}: {rule(status).text}"


LISTED_TEXT = "it did not say that it stored it, but lists it when asked (QIDO-RS)"


class Unreached(Unavailable):
    """No connection came about: nothing was sent."""


class Cut(Unavailable):
    """The connection ended, or time ran out, before the whole answer was there: the server may have done its work."""


class HttpRefused(Unavailable):
    """The destination answered that it takes nothing from us, for now or until a person changes something.

    `seconds` is how long it asked us to wait.
    """

    def __init__(self, status: int, retry_after: float | None = None, text: str = "") -> None:
        super().__init__(f"HTTP {status}: {text or rule(status).text}")
        self.status = status
        self.is_permanent = rule(status).kind is Kind.CONFIGURATION
        self.seconds = min(max(retry_after or 0.0, 0.0), LONGEST_PAUSE_SECONDS)
