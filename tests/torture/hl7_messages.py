"""Messages of bad-input cases, built field by field. Every number gives an order and a patient of its own."""

from collections.abc import Mapping

Fields = Mapping[int, str]

_MSH = {2: "^~\\&", 3: "RIS", 4: "HOSP", 5: "BROKER", 6: "RAD", 7: "20260201080000+0100", 11: "T", 12: "2.5.1"}
_MSH_OF_ALL = {**_MSH, 18: "UNICODE UTF-8"}
START = "^^^20260201093000^^R"


def segment(name: str, fields: Fields) -> str:
    """Return a segment; MSH-1 is no field of its own here."""
    last = max((number for number, text in fields.items() if text), default=1)
    first = 2 if name == "MSH" else 1
    return "|".join([name, *(fields.get(number, "") for number in range(first, last + 1))])


def header(kind: str, control: str, fields: Fields | None = None) -> str:
    """Return MSH."""
    return segment("MSH", {**_MSH_OF_ALL, 9: kind, 10: control, **(fields or {})})


def pid(number: str, fields: Fields | None = None) -> str:
    """Return PID of patient H<number>."""
    return segment("PID", {3: f"H{number}^^^HOSP^MR", 5: "Doe^Jane", 7: "19700101", 8: "F", **(fields or {})})


def orc(number: str, fields: Fields | None = None) -> str:
    """Return ORC of order P<number>, F<number>."""
    return segment("ORC", {1: "NW", 2: f"P{number}", 3: f"F{number}", 7: START, **(fields or {})})


def obr(number: str, fields: Fields | None = None) -> str:
    """Return OBR of the same order: accession A<number>, one step S1 for an ultrasound."""
    stated = {1: "1", 2: f"P{number}", 3: f"F{number}", 4: "US1^Abdomen^L", 18: f"A{number}", 19: f"R{number}"}
    return segment("OBR", {**stated, 20: "S1", 24: "US", **(fields or {})})


def encoded(*segments: str, codec: str = "utf-8") -> bytes:
    """Return the segments as bytes, each ended by CR."""
    return "".join(line + "\r" for line in segments).encode(codec)


def order(
    number: str,
    *,
    control: str = "",
    msh: Fields | None = None,
    of_pid: Fields | None = None,
    of_orc: Fields | None = None,
    of_obr: Fields | None = None,
    further: tuple[str, ...] = (),
) -> bytes:
    """Return ORM^O01 for one order of one patient."""
    return encoded(
        header("ORM^O01", control or f"C{number}", msh),
        pid(number, of_pid),
        orc(number, of_orc),
        obr(number, of_obr),
        *further,
    )


def adt(event: str, number: str, *, control: str, merged: str = "", of_pid: Fields | None = None) -> bytes:
    """Return an ADT message; with `merged` that old identifier in MRG."""
    lines = [header(f"ADT^{event}", control), segment("EVN", {1: event, 2: "20260201080000+0100"}), pid(number, of_pid)]
    if merged:
        lines.append(segment("MRG", {1: merged}))
    return encoded(*lines, segment("PV1", {1: "1", 2: "O"}))
