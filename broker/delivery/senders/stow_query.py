"""Asking a DICOMweb server what it has, by QIDO-RS (PS3.18 10.6). For unknown outcomes, proof, and `env check`.

`lists(peer, study_instance_uid, sop_instance_uid) -> bool` is the question; `probe(peer)` asks for nothing that is.
"""

import secrets

from broker.delivery.http_answers import Kind, rule
from broker.delivery.senders.stow_http import HttpAnswer
from broker.delivery.senders.stow_peer import StowPeer, refusal
from broker.delivery.senders.stow_response import data_sets, uids
from broker.errors import Unavailable
from broker.identifiers import derived_uid

_SOP_INSTANCE_UID = "00080018"
_NOTHING = (204, 404)  # none match; such a study is not known


def lists(peer: StowPeer, study_instance_uid: str, sop_instance_uid: str) -> bool:
    """Tell whether the server lists the instance, of this study where the UID is not empty.

    Raises Unavailable where it cannot be asked or gives no answer that can be read: then nothing is known.
    """
    path = f"/studies/{study_instance_uid}/instances" if _is_plain(study_instance_uid) else "/instances"
    answer = peer.search(path, {"SOPInstanceUID": sop_instance_uid})
    if answer.status in _NOTHING:
        return False
    _check(answer)
    # A server that does not know the key lists every instance there is.
    return any(sop_instance_uid in uids(found, _SOP_INSTANCE_UID) for found in data_sets(answer.body))


def probe(peer: StowPeer) -> str:
    """Ask for a study that does not exist, and return how the server answered, in words for a person.

    Raises Unavailable with the cause where it does not answer, or not as one that takes our images would.
    """
    answer = peer.search("/studies", {"StudyInstanceUID": derived_uid("probe", secrets.token_hex(16)), "limit": "1"})
    if answer.status == 405:
        return "answers, but takes no queries (QIDO-RS)"
    if answer.status != 204:
        _check(answer)
    return "answers a query"


def _check(answer: HttpAnswer) -> None:
    if rule(answer.status).kind in (Kind.CONFIGURATION, Kind.LATER):
        raise refusal(answer)
    if answer.status != 200:
        raise Unavailable(f"it answered a query with HTTP {answer.status}")
    if not answer.is_whole or answer.body.lstrip()[:1] not in (b"[", b"{"):
        raise Unavailable("it answered a query with something else than DICOM: is url its DICOMweb base?")


def _is_plain(uid: str) -> bool:
    return bool(uid) and all(character in "0123456789." for character in uid)
