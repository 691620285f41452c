"""What an ORC asks for, by its order control (table 0119) and order status (table 0038). A table, no more."""

from broker.orders.messages.grouping import OrderGroup
from broker.orders.model import OrderControl, Refusal

_NEW, _CHANGE, _CANCEL = OrderControl.NEW, OrderControl.CHANGE, OrderControl.CANCEL

BY_CONTROL = {
    **dict.fromkeys(("NW", "SN", "RO", "CH"), _NEW),
    **dict.fromkeys(("XO", "XX", "XR"), _CHANGE),
    # Discontinued and replaced: what has not begun is taken off; a begun step ends by its MPPS.
    **dict.fromkeys(("CA", "OC", "CR", "DC", "OD", "DR", "RP", "RU", "RQ"), _CANCEL),
}

# ORC-5 where ORC-1 is a change or a change of status.
BY_STATUS = {"SC": _CHANGE, "CA": _CANCEL, "DC": _CANCEL, "RP": _CANCEL}
# A change of data under these is a change of data.
_STATUS_WITH_CHANGE = ("", "SC", "IP")
# A new order cannot be over.
_OVER = ("CA", "DC", "CM", "RP")
# OBR-25 stands in for an empty ORC-5 (table 0123).
_RESULT_STATUS = {"O": "SC", "I": "SC", "S": "SC", "X": "CA", "": ""}


def control_of(group: OrderGroup) -> OrderControl | None:
    """Return what is asked; None for a status change that names no status.

    Raises Refusal AE 103 for a control, or a pair of control and status, that this product does not act on, and
    AE 101 for an order without ORC.
    """
    if group.orc is None:
        raise Refusal("AE", "ORC^1^1", "101", "an OBR without ORC: the order control is missing")
    asked, status = (group.orc.get(number).strip().upper() for number in (1, 5))
    known = BY_CONTROL.get(asked)
    if asked == "SC":
        return _of_status(group, status)
    if known is _CHANGE and status in BY_STATUS and status != "SC":
        return BY_STATUS[status]
    if known is None or (known is _CHANGE and status not in _STATUS_WITH_CHANGE) or (known is _NEW and status in _OVER):
        raise _unknown(group)
    return known


def _of_status(group: OrderGroup, status: str) -> OrderControl | None:
    result = group.obr.get(25).strip().upper() if group.obr else ""
    status = status or _RESULT_STATUS.get(result, result)
    if not status:
        return None
    if status not in BY_STATUS:
        raise _unknown(group)
    return BY_STATUS[status]


def _unknown(group: OrderGroup) -> Refusal:
    place = group.orc.location(1) if group.orc else ""
    return Refusal("AE", place, "103", "this order control with this order status is not supported")
