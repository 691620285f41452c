"""The sign-off packet: one file with everything that a promotion rests on, and that says when it was altered. Pure.

It holds the document's bytes, the evidence, who asked, approved and applied, and a digest over all of it. The digest
tells an alteration; that it is the very promotion is told by the environment that has the request.
"""

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from html import escape
from typing import Any

from broker.clock import rfc3339
from broker.errors import Refused
from broker.promotion.model import Difference, Request
from broker.promotion.paper import as_html

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


def document(said: Mapping[str, Any]) -> str:
    """Return the packet as one HTML document, with its own data in it."""
    whole = {**said, "digest": digest(said)}
    data = json.dumps(whole, indent=1).replace("<", "\\u003c")
    people = said["people"]
    head = (
        f"<header><div><h1>{escape(said['device'])}</h1>"
        f"<p>{escape(said['site'])}: {escape(said['id'])}, {escape(said['state'])}</p>"
        f'<p class="small">digest {whole["digest"]}</p></div>{as_html.qr(whole["digest"])}</header>'
    )
    signed = [
        ("asked for", people["requested_by"], _shown(people["requested"])),
        ("decided", people["decided_by"], _shown(people["decided"])),
        ("applied", people["applied_by"], _shown(people["applied"])),
    ]
    changes = [(each["field"], each["before"] or "-", each["after"] or "(goes)") for each in said["differences"]]
    proofs = [(each["state"], each["title"], each["text"], _shown(each["at"])) for each in said["evidence"]]
    body = (
        head
        + "<h2>who</h2>"
        + as_html.table(("step", "person", "time (UTC)"), signed, (20, 40, 40))
        + f'<p class="small">reason: {escape(people["why"] or "-")}</p>'
        + f"<h2>what: revision {said['revision']}</h2>"
        + as_html.table(("field", "before", "after"), changes, (30, 35, 35))
        + "<h2>what it rests on</h2>"
        + as_html.table(("state", "check", "what", "when (UTC)"), proofs, (12, 30, 38, 20))
        + f"<h2>the document</h2><pre>{escape(base64.b64decode(said['document']).decode())}</pre>"
        + '<p class="small">Check this file: broker promote verify FILE --env E</p>'
        + f'<script type="application/json" id="packet">{data}</script>'
    )
    return as_html.page(f"Sign-off of {said['device']}, {said['id']}", body)


def read(page: str) -> dict[str, Any]:
    """Return what a packet says, found whole. Raises Refused for a file that is none, or that was altered."""
    found = _DATA.search(page)
    if found is None:
        raise Refused("this file is no sign-off packet")
    try:
        said: dict[str, Any] = json.loads(found[1])
        shown = document({key: value for key, value in said.items() if key != "digest"})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused("this packet cannot be read: it was altered or cut") from error
    if said.get("digest") != digest(said) or shown != page:
        raise Refused("this packet was altered: its digest or what it shows is not that of its data")
    if hashlib.sha256(base64.b64decode(said["document"])).hexdigest() != said["revision"]:
        raise Refused("this packet was altered: its document is not the revision that it names")
    return said


def _time(instant: datetime | None) -> str:
    return rfc3339(instant) if instant else ""


def _shown(instant: str) -> str:
    """Return the instant as people read it, to the second."""
    return instant[:19].replace("T", " ")


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
