"""DIMSE command sets as values and bytes, and messages cut into PDVs (PS3.7 6.3, 9.3, 10.3, annex E). Pure."""

import struct
from collections.abc import Iterator, Mapping
from enum import IntEnum

from broker.dimse.items import InvalidPdu, text_of
from broker.dimse.pdu import DATA_HEADER, PduType
from broker.dimse.service import AcceptedContext, NormalizedAnswer, NormalizedRequest

NO_DATA_SET = 0x0101  # PS3.7 E.1: any other value means that a data set follows
DATA_SET = 0x0001
UNLIMITED_FRAGMENT = 128 * 1024  # what we send to a peer that takes any length

_DATA_TF = int(PduType.DATA_TF)

COMMAND_LAST = 3  # message control headers (PS3.8 E.2): bit 0 command, bit 1 last fragment
COMMAND_MORE = 1
DATA_LAST = 2
DATA_MORE = 0

_ELEMENT = struct.Struct("<HHI")
_US = struct.Struct("<H")
_AT = struct.Struct("<HH")
_US_ELEMENT = struct.Struct("<HHIH")
_GROUP_LENGTH = struct.Struct("<HHII")
_FOUR_US = struct.Struct("<" + "HHIH" * 4)


class Element(IntEnum):
    """The elements of group 0000 that we read or write, by the element number (PS3.7 E.1)."""

    AFFECTED_SOP_CLASS_UID = 0x0002
    REQUESTED_SOP_CLASS_UID = 0x0003
    COMMAND_FIELD = 0x0100
    MESSAGE_ID = 0x0110
    MESSAGE_ID_BEING_RESPONDED_TO = 0x0120
    MOVE_DESTINATION = 0x0600
    PRIORITY = 0x0700
    COMMAND_DATA_SET_TYPE = 0x0800
    STATUS = 0x0900
    OFFENDING_ELEMENT = 0x0901
    ERROR_COMMENT = 0x0902
    ERROR_ID = 0x0903
    AFFECTED_SOP_INSTANCE_UID = 0x1000
    REQUESTED_SOP_INSTANCE_UID = 0x1001
    EVENT_TYPE_ID = 0x1002
    ATTRIBUTE_IDENTIFIER_LIST = 0x1005
    ACTION_TYPE_ID = 0x1008
    NUMBER_OF_REMAINING_SUBOPERATIONS = 0x1020
    NUMBER_OF_COMPLETED_SUBOPERATIONS = 0x1021
    NUMBER_OF_FAILED_SUBOPERATIONS = 0x1022
    NUMBER_OF_WARNING_SUBOPERATIONS = 0x1023
    MOVE_ORIGINATOR_APPLICATION_ENTITY_TITLE = 0x1030
    MOVE_ORIGINATOR_MESSAGE_ID = 0x1031


class CommandField(IntEnum):
    """The command of a request; its response has 0x8000 added (PS3.7 E.1)."""

    C_STORE_RQ = 0x0001
    C_GET_RQ = 0x0010
    C_FIND_RQ = 0x0020
    C_MOVE_RQ = 0x0021
    C_ECHO_RQ = 0x0030
    N_EVENT_REPORT_RQ = 0x0100
    N_GET_RQ = 0x0110
    N_SET_RQ = 0x0120
    N_ACTION_RQ = 0x0130
    N_CREATE_RQ = 0x0140
    N_DELETE_RQ = 0x0150
    C_CANCEL_RQ = 0x0FFF


RESPONSE = 0x8000
NORMALIZED = frozenset(field for field in CommandField if field.name.startswith("N_"))

Value = int | str | tuple[int, ...]

# A member of an enumeration costs a third of a microsecond each time it is named; those that every image needs are
# named once.
_COMMAND_FIELD = int(Element.COMMAND_FIELD)
_MESSAGE_ID = int(Element.MESSAGE_ID)
_DATA_SET_TYPE = int(Element.COMMAND_DATA_SET_TYPE)
_STATUS = int(Element.STATUS)
_PRIORITY = int(Element.PRIORITY)
_C_STORE_RQ = int(CommandField.C_STORE_RQ)
_RESPONDED_TO = int(Element.MESSAGE_ID_BEING_RESPONDED_TO)
_AFFECTED_CLASS, _REQUESTED_CLASS = int(Element.AFFECTED_SOP_CLASS_UID), int(Element.REQUESTED_SOP_CLASS_UID)
_AFFECTED_INSTANCE = int(Element.AFFECTED_SOP_INSTANCE_UID)
_REQUESTED_INSTANCE = int(Element.REQUESTED_SOP_INSTANCE_UID)

_UIDS = frozenset(element for element in Element if element.name.endswith("_UID"))
_TAGS = frozenset({Element.OFFENDING_ELEMENT, Element.ATTRIBUTE_IDENTIFIER_LIST})


class Command:
    """A command set as received. An element that is absent or of the wrong length reads as None or empty text.

    What every service looks at, several times for each image, is read once.
    """

    __slots__ = ("_values", "data_set_type", "field", "message_id", "sop_class_uid", "sop_instance_uid")

    def __init__(self, values: Mapping[int, bytes]) -> None:
        self._values = values
        self.field = self.number(_COMMAND_FIELD) or 0
        self.message_id = self.number(_MESSAGE_ID)  # of a request
        self.data_set_type = self.number(_DATA_SET_TYPE)
        # The Affected or the Requested SOP Class and Instance UID, whichever the command has.
        self.sop_class_uid = self.text(_AFFECTED_CLASS) or self.text(_REQUESTED_CLASS)
        self.sop_instance_uid = self.text(_AFFECTED_INSTANCE) or self.text(_REQUESTED_INSTANCE)

    def number(self, element: int) -> int | None:
        """Return a US element."""
        value = self._values.get(element)
        return _US.unpack(value)[0] if value is not None and len(value) == 2 else None

    def text(self, element: int) -> str:
        """Return a UI, AE or LO element without its padding."""
        value = self._values.get(element)
        return text_of(value) if value else ""

    def tags(self, element: int) -> tuple[int, ...]:
        """Return an AT element, each tag as group * 65536 + element."""
        value = self._values.get(element, b"")
        whole = value[: len(value) // 4 * 4]
        return tuple(group << 16 | number for group, number in _AT.iter_unpack(whole))

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows."""
        return self.data_set_type not in (NO_DATA_SET, None)


def decode(content: bytes) -> Command:
    """Return the command set in `content`, Implicit VR Little Endian; raise InvalidPdu where it is none.

    A missing or wrong group length, repeated and unsorted elements are taken as they are: some devices send them.
    """
    values: dict[int, bytes] = {}
    at, end, read = 0, len(content), _ELEMENT.unpack_from
    while at < end:
        if end - at < 8:
            raise InvalidPdu("command element cut off")
        group, element, length = read(content, at)
        begun = at + 8
        at = begun + length
        if group != 0 or at > end:
            raise InvalidPdu("command set has an element of another group or longer than itself")
        values[element] = content[begun:at]
    command = Command(values)
    if command.data_set_type is None or command.number(_COMMAND_FIELD) is None:
        raise InvalidPdu("command set without Command Field or Command Data Set Type")
    return command


def encode(values: Mapping[Element, Value]) -> bytes:
    """Return the bytes of a command set with its group length; elements in ascending order."""
    body = b"".join(_encode_element(element, values[element]) for element in sorted(values))
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def _encode_element(element: Element, value: Value) -> bytes:
    if isinstance(value, int):
        return _US_ELEMENT.pack(0, element, 2, value)
    if isinstance(value, tuple):
        content = b"".join(_AT.pack(tag >> 16, tag & 0xFFFF) for tag in value)
    else:
        content = value.encode("ascii", "replace")
        if len(content) % 2:
            content += b"\0" if element in _UIDS else b" "
    return _ELEMENT.pack(0, element, len(content)) + content


def echo_request(message_id: int, sop_class_uid: str) -> bytes:
    """Return a C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return _request(CommandField.C_ECHO_RQ, message_id, NO_DATA_SET, {Element.AFFECTED_SOP_CLASS_UID: sop_class_uid})


def find_request(message_id: int, sop_class_uid: str) -> bytes:
    """Return a C-FIND-RQ of medium priority (PS3.7 9.3.2.1)."""
    return _request(
        CommandField.C_FIND_RQ,
        message_id,
        DATA_SET,
        {Element.AFFECTED_SOP_CLASS_UID: sop_class_uid, Element.PRIORITY: 0},
    )


def store_request(message_id: int, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """Return a C-STORE-RQ of medium priority (PS3.7 9.3.1.1), in one go: every image needs one."""
    body = b"".join(
        (
            _uid_element(_AFFECTED_CLASS, sop_class_uid),
            # group 0, element, length 2, value; four times
            _FOUR_US.pack(
                *(0, _COMMAND_FIELD, 2, _C_STORE_RQ),
                *(0, _MESSAGE_ID, 2, message_id),
                *(0, _PRIORITY, 2, 0),
                *(0, _DATA_SET_TYPE, 2, DATA_SET),
            ),
            _uid_element(_AFFECTED_INSTANCE, sop_instance_uid),
        )
    )
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def cancel_request(message_id: int) -> bytes:
    """Return a C-CANCEL-RQ for the request `message_id` (PS3.7 9.3.2.3)."""
    return encode(
        {
            Element.COMMAND_FIELD: CommandField.C_CANCEL_RQ,
            Element.MESSAGE_ID_BEING_RESPONDED_TO: message_id,
            Element.COMMAND_DATA_SET_TYPE: NO_DATA_SET,
        }
    )


def normalized_request(
    field: CommandField, message_id: int, values: Mapping[Element, Value], has_data_set: bool
) -> bytes:
    """Return a DIMSE-N request; `values` has its UIDs, type id and attribute list (PS3.7 10.3)."""
    return _request(field, message_id, DATA_SET if has_data_set else NO_DATA_SET, values)


def _request(field: CommandField, message_id: int, data_set: int, values: Mapping[Element, Value]) -> bytes:
    return encode(
        {
            **values,
            Element.COMMAND_FIELD: field,
            Element.MESSAGE_ID: message_id,
            Element.COMMAND_DATA_SET_TYPE: data_set,
        }
    )


def response(
    request: Command,
    status: int,
    *,
    has_data_set: bool = False,
    error_comment: str = "",
    offending_element: tuple[int, ...] = (),
    more: Mapping[Element, Value] | None = None,
) -> bytes:
    """Return the response to `request`, which has a Message ID. A comment is cut to 64 characters (PS3.7 C)."""
    data_set = DATA_SET if has_data_set else NO_DATA_SET
    if not (error_comment or offending_element or more):
        return _plain_response(request, status, data_set)
    values: dict[Element, Value] = {
        Element.COMMAND_FIELD: request.field | RESPONSE,
        Element.MESSAGE_ID_BEING_RESPONDED_TO: request.message_id or 0,
        Element.COMMAND_DATA_SET_TYPE: data_set,
        Element.STATUS: status,
    }
    if uid := request.sop_class_uid:
        values[Element.AFFECTED_SOP_CLASS_UID] = uid
    if uid := request.sop_instance_uid:
        values[Element.AFFECTED_SOP_INSTANCE_UID] = uid
    if error_comment:
        values[Element.ERROR_COMMENT] = text_of(error_comment.encode("ascii", "replace"))[:64]
    if offending_element:
        values[Element.OFFENDING_ELEMENT] = offending_element
    return encode({**values, **(more or {})})


def _plain_response(request: Command, status: int, data_set: int) -> bytes:
    """Return a response that has nothing else: in one go, since every image and every item found needs one."""
    number = request.message_id or 0
    body = b"".join(
        (
            _uid_element(_AFFECTED_CLASS, request.sop_class_uid),
            # group 0, element, length 2, value; four times
            _FOUR_US.pack(
                *(0, _COMMAND_FIELD, 2, request.field | RESPONSE),
                *(0, _RESPONDED_TO, 2, number),
                *(0, _DATA_SET_TYPE, 2, data_set),
                *(0, _STATUS, 2, status),
            ),
            _uid_element(_AFFECTED_INSTANCE, request.sop_instance_uid),
        )
    )
    return _GROUP_LENGTH.pack(0, 0, 4, len(body)) + body


def _uid_element(element: int, uid: str) -> bytes:
    if not uid:
        return b""
    content = uid.encode("ascii", "replace")
    if len(content) % 2:
        content += b"\0"
    return _ELEMENT.pack(0, element, len(content)) + content


def fragment_size(maximum_length: int) -> int:
    """Return how many bytes of a message go into one PDV for a peer that takes P-DATA of `maximum_length`."""
    if maximum_length == 0:
        return UNLIMITED_FRAGMENT
    return max(min(maximum_length - 6, UNLIMITED_FRAGMENT) // 2 * 2, 2)


def data_header(context_id: int, control: int, length: int) -> bytes:
    """Return the header of a P-DATA-TF with one PDV of `length` bytes."""
    return DATA_HEADER.pack(_DATA_TF, length + 6, length + 2, context_id, control)


def pdus(context_id: int, content: bytes, is_command: bool, size: int) -> Iterator[bytes]:
    """Yield headers and slices of the P-DATA-TFs that carry a command or data set, one PDV of `size` bytes each."""
    last, more = (COMMAND_LAST, COMMAND_MORE) if is_command else (DATA_LAST, DATA_MORE)
    if len(content) <= size:
        yield data_header(context_id, last, len(content))
        yield content
        return
    for at in range(0, len(content), size):
        piece = content[at : at + size]
        yield data_header(context_id, last if at + size >= len(content) else more, len(piece))
        yield piece


def normalized_values(request: NormalizedRequest) -> dict[Element, Value]:
    """Return the elements of a DIMSE-N request, by what its command calls them (PS3.7 10.3)."""
    affected = request.command in (CommandField.N_CREATE_RQ, CommandField.N_EVENT_REPORT_RQ)
    of_class = Element.AFFECTED_SOP_CLASS_UID if affected else Element.REQUESTED_SOP_CLASS_UID
    of_instance = Element.AFFECTED_SOP_INSTANCE_UID if affected else Element.REQUESTED_SOP_INSTANCE_UID
    values: dict[Element, Value] = {of_class: request.sop_class_uid}
    if request.sop_instance_uid:
        values[of_instance] = request.sop_instance_uid
    if request.type_id is not None:
        is_event = request.command == CommandField.N_EVENT_REPORT_RQ
        values[Element.EVENT_TYPE_ID if is_event else Element.ACTION_TYPE_ID] = request.type_id
    if request.attributes:
        values[Element.ATTRIBUTE_IDENTIFIER_LIST] = request.attributes
    return values


def received_request(context: AcceptedContext, command: Command, data_set: bytes | None) -> NormalizedRequest:
    """Return a received DIMSE-N command as the value that services know."""
    action = command.number(Element.ACTION_TYPE_ID)
    return NormalizedRequest(
        command=command.field,
        sop_class_uid=command.sop_class_uid,
        sop_instance_uid=command.sop_instance_uid,
        transfer_syntax=context.transfer_syntax,
        message_id=command.message_id or 0,
        type_id=command.number(Element.EVENT_TYPE_ID) if action is None else action,
        attributes=command.tags(Element.ATTRIBUTE_IDENTIFIER_LIST),
        data_set=data_set,
    )


def normalized_response(command: Command, answer: NormalizedAnswer) -> bytes:
    """Return the response to a DIMSE-N command, which repeats its type id (PS3.7 10.3)."""
    more: dict[Element, Value] = {}
    if answer.sop_instance_uid:
        more[Element.AFFECTED_SOP_INSTANCE_UID] = answer.sop_instance_uid
    if answer.error_id is not None:
        more[Element.ERROR_ID] = answer.error_id
    if answer.attributes:
        more[Element.ATTRIBUTE_IDENTIFIER_LIST] = answer.attributes
    for element in (Element.EVENT_TYPE_ID, Element.ACTION_TYPE_ID):
        if (number := command.number(element)) is not None:
            more[element] = number
    return response(
        command,
        answer.status,
        has_data_set=answer.data_set is not None,
        error_comment=answer.error_comment,
        more=more,
    )
