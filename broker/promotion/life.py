"""The life of a modality in one environment as one table: what moves it, who may, and who acts next."""

from enum import StrEnum

from broker.errors import Refused
from broker.people.model import Right
from broker.promotion.model import Life


class Move(StrEnum):
    """What happens to a modality."""

    BIND = "bind"  # it is said where it is
    PASS = "pass"  # every check has passed
    FALL_BACK = "fall back"  # a check has failed or gone stale
    REHEARSE = "rehearse"
    SCHEDULE = "schedule"
    CALL_OFF = "call off"
    APPLY = "apply"
    SETTLE = "settle"  # it was watched for long enough
    SUSPEND = "suspend"
    RESUME = "resume"
    RETIRE = "retire"
    RETURN = "return"


NEXT: dict[tuple[Life, Move], Life] = {
    (Life.DRAFT, Move.BIND): Life.TESTING,
    (Life.TESTING, Move.PASS): Life.READY,
    (Life.READY, Move.FALL_BACK): Life.TESTING,
    **{(life, Move.REHEARSE): Life.REHEARSING for life in (Life.DRAFT, Life.TESTING, Life.READY, Life.REHEARSING)},
    **{
        (life, Move.SCHEDULE): Life.SCHEDULED
        for life in (Life.DRAFT, Life.TESTING, Life.READY, Life.REHEARSING, Life.SUSPENDED, Life.RETIRED)
    },
    **{(life, Move.CALL_OFF): Life.DRAFT for life in (Life.REHEARSING, Life.SCHEDULED)},
    **{(life, Move.APPLY): Life.WATCHED for life in Life},
    (Life.WATCHED, Move.SETTLE): Life.LIVE,
    **{(life, Move.SUSPEND): Life.SUSPENDED for life in (Life.WATCHED, Life.LIVE)},
    (Life.SUSPENDED, Move.RESUME): Life.WATCHED,
    **{(life, Move.RETIRE): Life.RETIRED for life in Life if life is not Life.RETIRED},
    (Life.RETIRED, Move.RETURN): Life.TESTING,
}
"""The state after a move; a pair that is not here is refused."""

WHO: dict[Move, Right | None] = {
    Move.BIND: Right.CONFIGURE,
    Move.PASS: None,
    Move.FALL_BACK: None,
    Move.REHEARSE: Right.CONFIGURE,
    Move.SCHEDULE: Right.CONFIGURE,
    Move.CALL_OFF: Right.CONFIGURE,
    Move.APPLY: Right.CONFIGURE,
    Move.SETTLE: None,
    Move.SUSPEND: Right.CONFIGURE,
    Move.RESUME: Right.CONFIGURE,
    Move.RETIRE: Right.CONFIGURE,
    Move.RETURN: Right.CONFIGURE,
}
"""The right that a move needs; None: the machine moves it."""

ACTS_NEXT: dict[Life, str] = {
    Life.DRAFT: "the administrator binds it: broker modality bind",
    Life.TESTING: "the device: its own traffic ticks the checks, see broker promote plan",
    Life.READY: "the administrator asks for its promotion: broker promote request",
    Life.REHEARSING: "the administrator asks for its promotion, or ends the rehearsal; nothing is served",
    Life.SCHEDULED: "the clock applies the approved plan",
    Life.WATCHED: "the machine watches its first exams",
    Life.LIVE: "nobody",
    Life.SUSPENDED: "the administrator: it gets no new items; open exams still finish",
    Life.RETIRED: "nobody",
}


def moved(life: Life, move: Move) -> Life:
    """Return where a move leads. Raises Refused where it leads nowhere."""
    if (life, move) not in NEXT:
        raise Refused(f"a modality that is {life.value} cannot {move.value}; next: {ACTS_NEXT[life]}")
    return NEXT[life, move]
