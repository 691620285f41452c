"""Synthetic messages that several tests read."""

from hl7.header import Header, read_header

ORDER = (
    b"MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131102233+0100||ORM^O01|MSG0001|P|2.3.1||||||8859/1\r"
    b"PID|||4711^^^HOSP&1.2.3&ISO^MR~0815^^^OTHER||Muster^Eva^M^Jr^Dr||19800229|F\r"
    b"PV1||O|US^2^1|||||77^Refer^Rita|||||||B6||||V123^^^HOSP\r"
    b"ORC|NW|P100^HIS|F200^RIS||SC||^^^20260201093000^^S\r"
    b"OBR|1|P100|F200|USABD^Abdomen US^L^USLIV^Liver^L||||||||||||16^Order^Olga||A200|RP200|S1||||US||||||WALK\r"
    b"ORC|NW|P100^HIS|F200^RIS||SC||^^^20260201094500^^S\r"
    b"OBR|2|P100|F200|USABD^Abdomen US^L^USKID^Kidney^L||||||||||||16^Order^Olga||A200|RP200|S2||||US\r"
    b"ZDS|1.2.3.4.200^100^Application^DICOM\r"
)


def header_of(raw: bytes) -> Header:
    header = read_header(raw)
    assert header is not None
    return header
