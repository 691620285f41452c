"""A sample of the query classes Q01 to Q04; `make torture` runs them in full, with 100,000 answers."""

import pytest

from tests.torture import query_classes


@pytest.mark.slow
def test_a_sample_of_the_queries_has_no_violation() -> None:
    for tally in query_classes.tallies(1_500, share=0.1, seed=20):
        assert not tally.violated, (tally.name, tally.violations)


def test_the_classes_have_their_numbers() -> None:
    counts = {name[:3]: len(list(cases())) for name, cases in query_classes.CLASSES.items()}
    assert counts["Q01"] >= 160
    assert counts["Q02"] >= 300
    assert counts["Q03"] >= 120
    assert len(list(query_classes.q04(1))) >= 20
