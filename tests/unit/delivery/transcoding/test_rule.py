"""In which syntax an instance is offered next, as a table."""

from datetime import UTC, datetime

import pytest

from broker.delivery.state import Again, Park
from broker.delivery.transcoding.rule import EXPLICIT, IMPLICIT, after_refused, next_syntax

NOW = datetime(2026, 2, 1, 8, 0, tzinfo=UTC)
JPEG, RLE, DEFLATED, BIG = (
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
)
H264, PRIVATE = "1.2.840.10008.1.2.4.102", "1.2.840.113619.5.2"
CLASS = "1.2.840.10008.5.1.4.1.1.6.1"


@pytest.mark.parametrize(
    ("original", "sent_as", "following"),
    [
        (JPEG, "", EXPLICIT),
        (JPEG, EXPLICIT, IMPLICIT),
        (JPEG, IMPLICIT, ""),
        (RLE, "", EXPLICIT),
        (DEFLATED, "", EXPLICIT),
        (EXPLICIT, "", IMPLICIT),
        (EXPLICIT, IMPLICIT, ""),
        (IMPLICIT, "", EXPLICIT),
        (IMPLICIT, EXPLICIT, ""),
        (BIG, "", ""),
        (H264, "", ""),
        (PRIVATE, "", ""),
    ],
)
def test_the_next_syntax(original: str, sent_as: str, following: str) -> None:
    assert next_syntax(original, sent_as) == following


@pytest.mark.parametrize("result", [4, None, 1, 2])
def test_a_refused_syntax_is_offered_anew_at_once(result: int | None) -> None:
    decision = after_refused(result, CLASS, JPEG, "", NOW)
    assert isinstance(decision, Again)
    assert (decision.due, decision.pause, decision.syntax) == (NOW, False, EXPLICIT)


@pytest.mark.parametrize(
    ("result", "original", "sent_as", "words"),
    [
        (3, JPEG, "", "the SOP class is not supported"),
        (4, JPEG, IMPLICIT, "to which it was transcoded"),
        (4, H264, "", "video is never transcoded"),
        (4, BIG, "", "not transcoded by this version"),
    ],
)
def test_what_cannot_be_transcoded_is_parked_with_what_it_would_take(
    result: int, original: str, sent_as: str, words: str
) -> None:
    decision = after_refused(result, CLASS, original, sent_as, NOW)
    assert isinstance(decision, Park)
    assert words in decision.reason and original in decision.reason
