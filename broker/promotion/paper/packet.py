"""The sign-off packet: one file with everything that a promotion rests on, and that says when it was altered. Pure.

It holds the document's bytes, the evidence, who asked, approved and applied, and a digest over all of it. The digest
tells an alteration; that it is the very promotion is told by the environment that has the request.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from html import escape
from textwrap import wrap
from typing import Any

from broker.clock import rfc3339
from broker.errors import Refused
from broker.promotion.model import Difference, Request
from broker.promotion.paper import as_html

_CHECK = "Check this file: broker promote verify FILE --env E"
_SHORT = 12  # digits of a hash that people compare
_BEGIN, _END = "-----BEGIN PACKET-----", "-----END PACKET-----"
_BLOCK = re.compile(f"{_BEGIN}\n(.*?){_END}", re.DOTALL)
_DATA = re.compile(r'<script type="application/json" id="packet">(.*?)</script>', re.DOTALL)


def contents(request: Request, differences: Sequence[Difference], site: str) -> dict[str, Any]:
    """Return what the packet says."""
    people = {
        "requested_by": request.requested_by,
        "requested": _time(request.requested),
        "decided_by": request.decided_by,
        "decided": _time(request.decided),
        "applied_by": request.applied_by,
        "applied": _time(request.applied),
        "why": request.why,
    }
    return {
        "id": request.id,
        "site": site,
        "device": request.name,
        "state": request.state.value,
        "revision": request.revision,
        "plan": request.plan_checksum,
        "source": request.source_environment,
        "binding": {key: value or "" for key, value in asdict(request.binding).items()},
        "document": base64.b64encode(request.document).decode(),
        "people": people,
        "differences": [asdict(difference) for difference in differences],
        "evidence": [
            {**asdict(check), "at": _time(check.at), "sha256": _hash(asdict(check))} for check in request.evidence
        ],
    }


def digest(said: Mapping[str, Any]) -> str:
    """Return what tells an alteration."""
    return _hash({key: value for key, value in said.items() if key != "digest"})


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its rows, for whatever they are shown on; `widths` are those of the columns, in hundredths."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    widths: tuple[int, ...]


def sections(said: Mapping[str, Any]) -> tuple[Section, ...]:
    """Return what people read of a packet: who, what, and what it rests on."""
    people = said["people"]
    steps = (("asked for", "requested"), ("decided", "decided"), ("applied", "applied"))
    signed = tuple((text, people[f"{key}_by"], _shown(people[key])) for text, key in steps)
    changes = tuple((each["field"], each["before"] or "-", each["after"] or "(goes)") for each in said["differences"])
    proofs = tuple(
        (each["state"], each["title"], each["text"], _shown(each["at"]), each["sha256"][:_SHORT])
        for each in said["evidence"]
    )
    return (
        Section("who", ("step", "person", "time (UTC)"), signed, (20, 40, 40)),
        Section("what changes", ("field", "before", "after"), changes, (30, 35, 35)),
        Section("what it rests on", ("state", "check", "what", "when (UTC)", "hash"), proofs, (11, 26, 34, 14, 15)),
    )


def notes(said: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the lines under the title."""
    why = said["people"]["why"] or "-"
    where = f"{said['site']}: {said['id']}, {said['state']}"
    return where, f"revision {said['revision']}", f"digest {digest(said)}", f"reason: {why}"


def document(said: Mapping[str, Any]) -> str:
    """Return the packet as one HTML document, with its own data in it."""
    whole = {**said, "digest": digest(said)}
    data = json.dumps(whole, indent=1).replace("<", "\\u003c")
    above = "".join(f'<p class="small">{escape(note)}</p>' for note in notes(said))
    head = f"<header><div><h1>{escape(said['device'])}</h1>{above}</div>{as_html.qr(whole['digest'])}</header>"
    tables = (
        f"<h2>{escape(each.title)}</h2>{as_html.table(each.heads, each.rows, each.widths)}" for each in sections(said)
    )
    body = (
        head
        + "".join(tables)
        + f"<h2>the document</h2><pre>{escape(_document(said))}</pre>"
        + f'<p class="small">{_CHECK}</p>'
        + f'<script type="application/json" id="packet">{data}</script>'
    )
    return as_html.page(f"Sign-off of {said['device']}, {said['id']}", body)


def text(said: Mapping[str, Any]) -> str:
    """Return the packet as plain text, with its own data at the end."""
    lines = [f"Sign-off of {said['device']}", *notes(said)]
    for each in sections(said):
        widths = [max(map(len, column)) for column in zip(each.heads, *each.rows, strict=True)]
        rows = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in (each.heads, *each.rows))
        lines += ["", each.title, "-" * len(each.title), *rows]
    lines += ["", "the document", "------------", _document(said).rstrip(), "", _CHECK]
    data = json.dumps({**said, "digest": digest(said)}).encode()
    return "\n".join([*lines, _BEGIN, *wrap(base64.b64encode(data).decode(), 100), _END, ""])


def read(page: str) -> dict[str, Any]:
    """Return what a packet says, found whole. Raises Refused for a file that is none, or that was altered."""
    found = _DATA.search(page) or _BLOCK.search(page)
    if found is None:
        raise Refused("this file is no sign-off packet")
    is_html = found.re is _DATA
    try:
        said: dict[str, Any] = json.loads(found[1] if is_html else base64.b64decode(found[1]))
        shown = (document if is_html else text)({key: value for key, value in said.items() if key != "digest"})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused("this packet cannot be read: it was altered or cut") from error
    if said.get("digest") != digest(said) or shown != page:
        raise Refused("this packet was altered: its digest or what it shows is not that of its data")
    if hashlib.sha256(base64.b64decode(said["document"])).hexdigest() != said["revision"]:
        raise Refused("this packet was altered: its document is not the revision that it names")
    return said


def _document(said: Mapping[str, Any]) -> str:
    return base64.b64decode(said["document"]).decode()


def _time(instant: datetime | None) -> str:
    return rfc3339(instant) if instant else ""


def _shown(instant: str) -> str:
    """Return the instant as people read it, to the second."""
    return instant[:19].replace("T", " ")


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
