"""Keys as a person types them, `KEYWORD=VALUE`, to the identifier that a console would send. Matches nothing."""

from collections.abc import Iterable

from pydicom.datadict import keyword_dict

from broker.environments.reading import did_you_mean
from broker.errors import Refused
from broker.registry.model import Habits
from broker.worklist.attributes import STEP_KEYWORDS, STEP_SEQUENCE
from broker.worklist.characters import UNICODE
from broker.worklist.elements import EXPLICIT_LITTLE_ENDIAN, Element, dictionary_vr, tag_of, write
from broker.worklist.query import MATCHED, Query, read

_CHARACTER_SET = 0x00080005


def query_of(keys: Iterable[str], habits: Habits) -> Query:
    """Return the query of `KEYWORD=VALUE` texts, the step's keys inside its sequence.

    Raises Refused for a text that is no key, BadQuery for a value that a console would be refused for.
    """
    elements = [_element(key) for key in keys]
    inner = tuple(element for element, keyword in elements if keyword in STEP_KEYWORDS)
    outer = [element for element, keyword in elements if keyword not in STEP_KEYWORDS]
    identifier = [
        Element(_CHARACTER_SET, "CS", UNICODE.encode()),
        *outer,
        Element(tag_of(STEP_SEQUENCE), "SQ", items=(inner,)),
    ]
    return read(write(identifier, EXPLICIT_LITTLE_ENDIAN), EXPLICIT_LITTLE_ENDIAN, habits)


def _element(key: str) -> tuple[Element, str]:
    keyword, equals, value = key.partition("=")
    if not (keyword and equals):
        raise Refused(f"{key!r} is no key: write KEYWORD=VALUE, such as Modality=US")
    if keyword not in keyword_dict:
        raise Refused(f"{keyword!r} is no keyword of DICOM{did_you_mean(keyword, MATCHED)}")
    if keyword not in MATCHED:
        raise Refused(f"{keyword} is never matched here, only answered; keys are {', '.join(MATCHED)}")
    tag = tag_of(keyword)
    return Element(tag, dictionary_vr(tag), value.encode()), keyword
