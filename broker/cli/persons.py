"""What needs a person rather than the operating-system user: configuration of production, and decisions."""

from broker.cli.context import TOKEN, Opened
from broker.errors import Refused
from broker.people import store
from broker.people.model import Right, User, roles_with


def person(here: Opened, right: Right) -> User:
    """Return who gives the command, by token. Raises Refused where there is none, or it does not give this right."""
    name = here.profile.name
    if here.person is None:
        with here.database.read() as tx:
            first = not store.has_any(tx)
        how = "broker user add NAME --role administrator makes the first" if first else "an administrator gives you one"
        raise Refused(f"this needs the token of a person of {name} in ${TOKEN} ({how})")
    if not here.person.may(right):
        raise Refused(f"{here.person.name} is {here.person.role.value} in {name}; this needs {roles_with(right)}")
    return here.person
