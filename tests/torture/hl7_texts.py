"""Classes H05, H06, H09 and H13: text, dates and what is hidden in them; how each is answered."""

from collections.abc import Iterator

from tests.torture.hl7_exchange import Case, single
from tests.torture.hl7_messages import order

# --- H05: character sets -----------------------------------------------------------------------------------------

DECLARED = {
    "8859/1": "latin-1",
    "8859/2": "iso8859_2",
    "8859/5": "iso8859_5",
    "8859/6": "iso8859_6",
    "8859/7": "iso8859_7",
    "8859/8": "iso8859_8",
    "8859/9": "iso8859_9",
    "8859/15": "iso8859_15",
    "ISO IR14": "shift_jis",
    "~ISO IR87": "iso2022_jp",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
    "UNICODE UTF-8": "utf-8",
    "ASCII": "ascii",
}
REAL = ("latin-1", "utf-8", "shift_jis", "gb18030", "euc_kr", "utf-16-le")
_TEXTS = {"latin-1": "Müller^Jörg", "shift_jis": "ソ能^太郎", "gb18030": "王^小东", "euc_kr": "김^희중"}


def character_sets() -> Iterator[Case]:
    """H05: what is declared against what is sent: the right text or AE at MSH-18, never another text silently."""
    for declared in DECLARED:
        for real in REAL:
            name = _TEXTS.get(real, "Žofie^Müller")
            sent = order("5", msh={18: declared}).replace(b"Doe^Jane", name.encode(real))
            yield single(f"{declared} with bytes of {real}", sent, "AA", "AE")
    for alias in ("UTF-8", "utf8", "8859-1", "ISO8859/1"):
        yield single(f"MSH-18 {alias}", order("5A", msh={18: alias}), "AA", "AR 103 MSH^1^18")
    for unknown in ("KOI8-R", "UNICODE UTF-16", "UNICODE UTF-32", "CNS 11643-1992", "X"):
        yield single(f"MSH-18 {unknown}", order("5U", msh={18: unknown}), "AR 103 MSH^1^18")
    for several in ("8859/1~8859/2", "ASCII~UNICODE UTF-8", "8859/1~KOI8-R", "~", "~~", "UNICODE UTF-8~"):
        yield single(f"MSH-18 {several}", order("5W", msh={18: several}), "AA", "AR 103 MSH^1^18")
    for mark in (b"\xff\xfe", b"\xfe\xff", b""):
        codec = "utf-16-be" if mark == b"\xfe\xff" else "utf-16-le"
        wide = mark + order("5T").decode().encode(codec)
        yield single(f"UTF-16 with mark {mark!r}", wide, "none")
    for text in ("\\C2842\\Ã¼", "\\M242842\\", "\\C2842", "\\Cxx\\", "A\\M24^2842\\B", "\\C1B2842\\"):
        yield single(f"switch {text}", order("5C", of_pid={5: text}), "AA")
    for raw in (b"\x1b$B;3ED\x1b(B", b"\x1b$B;3", b"\x1b", b"\x1b(J\\\x1b(B", b"\x1b$B|^\x1b(B"):
        for declared in ("~ISO IR87", "ISO IR159", "UNICODE UTF-8"):
            sent = order("5I", msh={18: declared}).replace(b"Doe^Jane", raw + b"^A")
            yield single(f"{declared} {raw!r}", sent, "AA", "AE")


# --- H06: escapes ------------------------------------------------------------------------------------------------

ESCAPES = (
    *(
        "\\F\\",
        "\\S\\",
        "\\T\\",
        "\\R\\",
        "\\E\\",
        "\\X41\\",
        "\\X4142\\",
        "\\.br\\",
        "\\.sp\\",
        "\\.sp3\\",
        "\\.in+4\\",
    ),
    *(
        "\\.ti5\\",
        "\\.fi\\",
        "\\.nf\\",
        "\\.ce\\",
        "\\H\\bold\\N\\",
        "\\Zab\\",
        "\\P\\",
        "\\C2842\\",
        "\\M242842\\",
        "\\F",
        "\\",
    ),
    *(
        "\\\\",
        "\\\\\\",
        "\\F\\F\\",
        "\\\\F\\\\",
        "\\E\\F\\E\\",
        "\\X\\",
        "\\X4\\",
        "\\XZZ\\",
        "\\X0D\\",
        "\\X00\\",
        "\\X1C0D\\",
    ),
    *("\\X0B\\", "\\X1C\\", "\\X7C\\", "\\XFF\\", "\\XC3BC\\", "\\.sp99999999\\", "\\.in-99999999\\", "\\Q\\", "\\é\\"),
    *("\\X" + "41" * 1000 + "\\", "\\" * 1001, "\\.br\\" * 500, "\\E\\" * 500),
)
_ESCAPED_IN = ("PID-5", "OBR-4.2", "NTE-3")


def escapes() -> Iterator[Case]:
    """H06: each escape in a name, a description and a comment."""
    for at, text in enumerate(ESCAPES):
        yield single(f"name {text[:20]}", order("6", of_pid={5: f"A{text}B^Jane"}), "AA")
        yield single(f"comment {text[:20]}", order("6N", further=(f"NTE|1||A{text}B",)), "AA")
        if at % 3 == 0:
            identifier = order("6I", of_obr={18: f"A{text}"})
            yield single(f"accession {text[:20]}", identifier, "AA", "AE 102 OBR^1^18", "AE 204")


# --- H09: dates --------------------------------------------------------------------------------------------------

STARTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("20260201", "2026020109", "202602010930", "20260201093059", "20260201093059.1234"), ("AA",)),
    **dict.fromkeys(("20260201093000+0000", "20260201093000-1200", "20260201093000+1400", "20240229", '""'), ("AA",)),
    **dict.fromkeys(
        ("2026", "202602", "20260230", "20250229", "20261301", "20260100", "20260001"), ("AE 102 ORC^1^7",)
    ),
    **dict.fromkeys(("tomorrow", "2026-02-01", "01.02.2026", "99999999", "2026020", "20260201x"), ("AE 102 ORC^1^7",)),
    **dict.fromkeys(("20260201240000", "20260201250000", "20260201096100", "20260201093061"), ("AE 102 ORC^1^7", "AA")),
    **dict.fromkeys(("20260201093000+9999", "20260201093000+1500", "20260201093000Z"), ("AE 102 ORC^1^7",)),
    **dict.fromkeys(("20260201093000000", "2" * 17, "9" * 30, "-20260201", "+20260201"), ("AE 102 ORC^1^7",)),
    **dict.fromkeys(("00000000", "0", "19000101", "99991231235959", "00010101"), ("AA", "AE 102 ORC^1^7")),
    **dict.fromkeys(("00010101000000+1400", "99991231235959-1200"), ("AE 102 ORC^1^7", "AA")),
    **dict.fromkeys(("٢٠٢٦٠٢٠١", "２０２６０２０１"), ("AE 102 ORC^1^7",)),
}


def dates() -> Iterator[Case]:
    """H09: the start of a step must be a date; a birth date, or when a message was sent, need not cost an order."""
    for text, answers in STARTS.items():
        yield single(f"ORC-7.4 {text!r}", order("9", of_orc={7: f"^^^{text}^^R"}), *answers)
    for text in STARTS:
        yield single(f"PID-7 {text!r}", order("9B", of_pid={7: text}), "AA", "AE 204")
        yield single(f"MSH-7 {text!r}", order("9M", msh={7: text}), "AA")


# --- H13: injection ----------------------------------------------------------------------------------------------

INJECTIONS = (
    *(
        "a\\E\\b",
        "a=b",
        "a\\X0D0A\\b",
        "a\\X00\\b",
        "x" * 65,
        "x" * 300,
        "'; DROP TABLE imaging_order; --",
        "' OR '1'='1",
    ),
    *(
        "<script>alert(1)</script>",
        '"><img src=x>',
        "=1+1",
        "@SUM(A1)",
        "+1",
        "-1",
        "$(reboot)",
        "`id`",
        "; ls",
        "{{7*7}}",
    ),
    *("${7*7}", "../../etc/passwd", "C:\\E\\x", "%s%n%x", "\\X1B5B33316D\\", "a\\.br\\level=error", "*", "?", "%", "_"),
)
TEXTS = ((5, "PID"), (11, "PID"), (13, "PID"), (16, "OBR"), (31, "OBR"), (30, "OBR"))


def injections() -> Iterator[Case]:
    """H13: text that means something to somebody is text; an identifier that DICOM cannot hold is refused."""
    for text in INJECTIONS:
        for number, name in TEXTS:
            fields = {number: text}
            sent = order("13", of_pid=fields if name == "PID" else None, of_obr=fields if name == "OBR" else None)
            yield single(f"{name}-{number} {text[:24]}", sent, "AA")
        yield single(f"OBR-18 {text[:24]}", order("13A", of_obr={18: text}), "AA", "AE 102 OBR^1^18", "AE 204")
        yield single(f"ORC-18 {text[:24]}", order("13S", of_orc={18: text}), "AA")
