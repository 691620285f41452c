"""The values of people: users, and what each role may do."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a user is trusted with."""

    VIEWER = "viewer"
    TECHNOLOGIST = "technologist"
    ADMINISTRATOR = "administrator"
    APPROVER = "approver"


class Right(StrEnum):
    """What a command needs of the person who gives it."""

    READ = "read"  # look at anything
    WORK = "work"  # act on orders, exams, deliveries and alerts
    CONFIGURE = "configure"  # change devices, ask for promotions and apply them, add users
    APPROVE = "approve"  # decide on what another person asked for


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.TECHNOLOGIST: frozenset({Right.READ, Right.WORK}),
    Role.ADMINISTRATOR: frozenset({Right.READ, Right.WORK, Right.CONFIGURE}),
    Role.APPROVER: frozenset({Right.READ, Right.APPROVE}),
}


@dataclass(frozen=True, slots=True)
class User:
    """A person who is known by a token. Only the token's hash is kept."""

    name: str
    role: Role
    created: datetime
    created_by: str
    disabled: datetime | None = None

    def may(self, right: Right) -> bool:
        """Tell whether the role allows it and the account is in use."""
        return self.disabled is None and right in RIGHTS[self.role]


def roles_with(right: Right) -> str:
    """Return the roles that have a right, in words."""
    return " or ".join(role.value for role in Role if right in RIGHTS[role])
