"""The items within A-ASSOCIATE PDUs, above all user information (PS3.8 9.3.2, annex D; PS3.7 annex D.3.3)."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from broker.errors import Rejected

_ITEM = struct.Struct(">BxH")
_LENGTH = struct.Struct(">H")
_MAXIMUM_LENGTH = struct.Struct(">I")
_WINDOW = struct.Struct(">HH")
_INVALID_PARAMETER = 6  # PS3.8 table 9-26
_UNSTATED_MAXIMUM_LENGTH = 16384  # what every implementation takes, for peers that do not say

_UNSPEAKABLE = {byte: "\\" for byte in range(256) if not 0x20 <= byte <= 0x7E}


class InvalidPdu(Rejected):
    """A PDU that says something impossible; `reason` is that of the A-ABORT it deserves (PS3.8 table 9-26)."""

    def __init__(self, text: str, reason: int = _INVALID_PARAMETER) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Role:
    """Role selection for one SOP class, from the requestor's side (PS3.7 D.3.3.4)."""

    sop_class_uid: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class ExtendedNegotiation:
    """SOP class extended negotiation: what the bytes mean, the SOP class says (PS3.7 D.3.3.5)."""

    sop_class_uid: str
    information: bytes


@dataclass(frozen=True, slots=True)
class CommonExtendedNegotiation:
    """SOP class common extended negotiation: the family a SOP class belongs to (PS3.7 D.3.3.6)."""

    sop_class_uid: str
    service_class_uid: str
    related_sop_classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """User identity as offered (PS3.7 D.3.3.7). It is a secret: never logged, never stored here."""

    kind: int
    response_requested: bool
    primary: bytes
    secondary: bytes


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user information item. `maximum_length` 0 means unlimited (PS3.8 D.1)."""

    maximum_length: int = _UNSTATED_MAXIMUM_LENGTH
    implementation_class_uid: str = ""
    implementation_version_name: str = ""
    operations_window: tuple[int, int] | None = None
    roles: tuple[Role, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    common: tuple[CommonExtendedNegotiation, ...] = ()
    identity: UserIdentity | None = None


def text_of(value: bytes) -> str:
    """Return a title or name as text without outer blanks and padding NULs.

    What is outside the default repertoire becomes a backslash, which no valid title has: a peer's bytes can then
    neither match a title of ours nor break a log line or a database's text column.
    """
    text = value.decode("latin-1").rstrip("\0 ").lstrip(" ")
    return text if text.isascii() and text.isprintable() else text.translate(_UNSPEAKABLE)


def uid_of(value: bytes) -> str:
    """Return a UID field as text; it may be padded although it should not be (PS3.8 annex F)."""
    return text_of(value)


def item(kind: int, value: bytes) -> bytes:
    """Return the bytes of one item."""
    return _ITEM.pack(kind, len(value)) + value


def items(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each item in `body`; raise InvalidPdu where one reaches beyond its container."""
    at, end = 0, len(body)
    while at < end:
        if end - at < _ITEM.size:
            raise InvalidPdu("item header cut off")
        kind, length = _ITEM.unpack_from(body, at)
        at += _ITEM.size
        if length > end - at:
            raise InvalidPdu(f"item {kind:02X}H is longer than what contains it")
        yield kind, body[at : at + length]
        at += length


def encode_user_information(user: UserInformation) -> bytes:
    """Return the value of the user information item; its sub-items in ascending order of their types."""
    parts = [
        item(0x51, _MAXIMUM_LENGTH.pack(user.maximum_length)),
        item(0x52, user.implementation_class_uid.encode("ascii")),
    ]
    if user.operations_window is not None:
        parts.append(item(0x53, _WINDOW.pack(*user.operations_window)))
    parts.extend(item(0x54, _counted(role.sop_class_uid) + bytes((role.scu, role.scp))) for role in user.roles)
    if user.implementation_version_name:
        parts.append(item(0x55, user.implementation_version_name.encode("ascii")))
    parts.extend(item(0x56, _counted(each.sop_class_uid) + each.information) for each in user.extended)
    if user.identity is not None:
        parts.append(item(0x58, _encode_identity(user.identity)))
    return b"".join(parts)


def decode_user_information(value: bytes) -> UserInformation:
    """Return what the value of a user information item says; unknown sub-items are ignored; raise InvalidPdu."""
    maximum_length, class_uid, version_name = _UNSTATED_MAXIMUM_LENGTH, "", ""
    window: tuple[int, int] | None = None
    identity: UserIdentity | None = None
    roles: list[Role] = []
    extended: list[ExtendedNegotiation] = []
    common: list[CommonExtendedNegotiation] = []
    for kind, content in items(value):
        match kind:
            case 0x51:
                (maximum_length,) = _fixed(_MAXIMUM_LENGTH, content)
            case 0x52:
                class_uid = uid_of(content)[:64]
            case 0x53:
                invoked, performed = _fixed(_WINDOW, content)
                window = (invoked, performed)
            case 0x54:
                roles.append(_decode_role(content))
            case 0x55:
                version_name = text_of(content)[:16]
            case 0x56:
                uid, information = _split(content)
                extended.append(ExtendedNegotiation(uid_of(uid), information))
            case 0x57:
                common.append(_decode_common(content))
            case 0x58:
                identity = _decode_identity(content)
    return UserInformation(
        maximum_length, class_uid, version_name, window, tuple(roles), tuple(extended), tuple(common), identity
    )


def _fixed(form: struct.Struct, content: bytes) -> tuple[int, ...]:
    if len(content) != form.size:
        raise InvalidPdu("user information sub-item of the wrong length")
    return form.unpack(content)


def _counted(uid: str) -> bytes:
    return _LENGTH.pack(len(uid)) + uid.encode("ascii")


def _split(content: bytes) -> tuple[bytes, bytes]:
    """Return the field counted by the first two bytes, and the rest."""
    if len(content) < 2:
        raise InvalidPdu("counted field cut off")
    (length,) = _LENGTH.unpack_from(content)
    if length > len(content) - 2:
        raise InvalidPdu("counted field is longer than what contains it")
    return content[2 : 2 + length], content[2 + length :]


def _decode_role(content: bytes) -> Role:
    uid, flags = _split(content)
    if len(flags) != 2:
        raise InvalidPdu("role selection without its two roles")
    return Role(uid_of(uid), flags[0] == 1, flags[1] == 1)


def _decode_common(content: bytes) -> CommonExtendedNegotiation:
    sop_class, rest = _split(content)
    service_class, rest = _split(rest)
    related, _ = _split(rest)
    names: list[str] = []
    while related:
        name, related = _split(related)
        names.append(uid_of(name))
    return CommonExtendedNegotiation(uid_of(sop_class), uid_of(service_class), tuple(names))


def _encode_identity(identity: UserIdentity) -> bytes:
    head = bytes((identity.kind, identity.response_requested))
    primary = _LENGTH.pack(len(identity.primary)) + identity.primary
    return head + primary + _LENGTH.pack(len(identity.secondary)) + identity.secondary


def _decode_identity(content: bytes) -> UserIdentity:
    if len(content) < 2:
        raise InvalidPdu("user identity cut off")
    primary, rest = _split(content[2:])
    secondary, _ = _split(rest)
    return UserIdentity(content[0], content[1] == 1, primary, secondary)
