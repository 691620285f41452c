"""What each role may do."""

from datetime import UTC, datetime

import pytest

from broker.people.model import Right, Role, User, roles_with

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (Role.VIEWER, {Right.READ}),
        (Role.TECHNOLOGIST, {Right.READ, Right.WORK}),
        (Role.ADMINISTRATOR, {Right.READ, Right.WORK, Right.CONFIGURE}),
        (Role.APPROVER, {Right.READ, Right.APPROVE}),
    ],
)
def test_a_role_has_its_rights_and_no_other(role: Role, rights: set[Right]) -> None:
    user = User("ann", role, NOW, "os-user:root")
    assert {right for right in Right if user.may(right)} == rights


def test_nobody_may_configure_and_approve() -> None:
    both = [
        role
        for role in Role
        if User("a", role, NOW, "").may(Right.CONFIGURE) and User("a", role, NOW, "").may(Right.APPROVE)
    ]
    assert both == []


def test_a_disabled_user_may_nothing() -> None:
    user = User("ann", Role.ADMINISTRATOR, NOW, "os-user:root", disabled=NOW)
    assert not any(user.may(right) for right in Right)


def test_roles_that_have_a_right_are_named() -> None:
    assert roles_with(Right.WORK) == "technologist or administrator"
