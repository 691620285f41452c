"""Routes as files say them, and every mistake in them."""

import pytest
from pydicom.datadict import keyword_dict

from broker.environments.model import Priority, Route
from broker.environments.reading import parse
from broker.environments.routes import is_read_of_instances, read_routes
from broker.environments.schedules import parse_hours
from broker.errors import Misconfigured
from broker.spool import scan


def read(text: str, *names: str) -> tuple[Route, ...]:
    root = parse(f"[[routes]]\n{text}\n".encode(), "f")
    routes = read_routes(root, names or None)
    root.finish()
    root.mistakes.stop()
    return routes


def mistakes(text: str) -> str:
    with pytest.raises(Misconfigured) as caught:
        read(text)
    return str(caught.value)


def test_a_route_says_all_it_can() -> None:
    (route,) = read(
        'name = "night"\nto = ["a"]\npriority = "stat"\n'
        'when = { device = "us-*", Modality = ["SR", "KO"], time = ["mon-fri 18:00-07:00", "sat,sun 00:00-24:00"],'
        ' order.RequestingService = "ER*", order.RequestedProcedureCodeSequence = "ABD" }\n'
        'unless = { calling = ["US9"], order = "none" }'
    )
    assert route == Route(
        to=("a",),
        when=(
            ("device", ("us-*",)),
            ("Modality", ("SR", "KO")),
            ("order.RequestingService", ("ER*",)),
            ("order.RequestedProcedureCodeSequence", ("ABD",)),
        ),
        unless=(("calling", ("US9",)), ("order", ("none",))),
        times=(parse_hours("mon-fri 18:00-07:00"), parse_hours("sat,sun 00:00-24:00")),
        priority=Priority.STAT,
        name="night",
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("when = { Modality = [] }", "when.Modality: must be a text that is not empty, or a list"),
        ('when = { Modality = ["US", 3] }', "when.Modality: must be a text"),
        ('when = { Rows = "512" }', "when.Rows: is not read of instances"),
        ('when = { PatientName = "X*" }', "when.PatientName: is not read of instances"),
        ('when = { time = "after six" }', "when.time: 'after six' must be hours such as"),
        ('when = { order = "yes" }', "when.order: 'yes' is none of"),
        ('when = { order.Priorty = "STAT" }', "when.order.Priorty: is no DICOM keyword"),
        ('when = { order.ReferencedStudySequence = "x" }', "has no value that a text could equal"),
        ('unless = { time = "18:00-07:00" }', "unless.time: stands in `when` only"),
        ('unless = { Modalty = "SR" }', "did you mean 'Modality'?"),
        ('priority = "urgent"', "priority: 'urgent' is none of"),
        ('prority = "stat"', "prority: unknown key: did you mean 'priority'?"),
    ],
)
def test_a_mistake_is_named_with_its_place(line: str, words: str) -> None:
    assert words in mistakes(f'to = ["a"]\n{line}')


def test_what_a_route_may_look_at_is_what_the_spool_reads() -> None:
    read_by_spool = set(scan.KEYWORDS.values())
    assert {keyword for keyword in keyword_dict if is_read_of_instances(keyword)} == read_by_spool
