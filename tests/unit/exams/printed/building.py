"""A day, its rooms and a heading to print."""

from datetime import UTC, date, datetime

from broker.exams.printed.page import Heading
from broker.registry.document import read
from broker.registry.model import Binding, Modality

DAY = date(2026, 2, 1)
HEADING = Heading("test", "green", "General Hospital", DAY, datetime(2026, 2, 1, 6, 0, tzinfo=UTC), "anna")


def modality(name: str, title: str) -> Modality:
    content = f'name = "{name}"\ndescription = "Room {name}"\nmodality = "US"\nae_titles = ["{title}"]\n'.encode()
    return Modality(name, "0" * 64, read(content, name), Binding())
