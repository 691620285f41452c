"""Classes H04, H07, H08 and H15: headers, floods, identifiers, what is meant for others; how each is answered."""

from collections.abc import Iterator

from tests.torture.hl7_exchange import Case, single
from tests.torture.hl7_messages import encoded, header, obr, orc, order, pid

# --- H04: MSH ----------------------------------------------------------------------------------------------------

VERSIONS = {
    **dict.fromkeys(("2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.2", "2.9"), "AA"),
    **dict.fromkeys(
        ("2.1", "2.0", "3.0", "1", "V2.5", "2,5", "2.5.1.1.1", "9.9", "two", "2.", "-2.5", "\\X32\\"), "AR 203"
    ),
}
ENCODING_CHARACTERS = {
    "^~\\&": "AA",
    "^~\\&#": "AA",
    "^~\\": "AA",
    "^~": "AA",
    "^": "AA",
    "^~\\&#!%@": "AA",
}
_CONTROLS = (chr(n) for n in range(32) if chr(n) not in "\n\v\r\x1c")  # but those that end lines and frames
_NO_SEPARATORS = (*_CONTROLS, *"\x7f aZ9")
# A separator that is no separator makes the header unusable: nothing can be said to that.
SEPARATORS = {**dict.fromkeys("$!*;:", "AA"), **dict.fromkeys(_NO_SEPARATORS, "none")}
PROCESSING_IDS = {
    **dict.fromkeys(("T", "D", "P", "T^T", "D^A", "P^T"), "AA"),
    **dict.fromkeys(("", "p", "t", "X", "TT", '""', "T&1"), "AR 202"),
}


def headers() -> Iterator[Case]:
    """H04: MSH that is short, empty, strange, or of another world."""
    whole = order("4")
    line, _, rest = whole.partition(b"\r")
    fields = line.split(b"|")
    for count in range(1, len(fields)):
        answers = ("none",) if count == 1 else ("AR",) if count < 12 else ("AA",)
        yield single(f"MSH cut behind field {count}", b"|".join(fields[:count]) + b"\r" + rest, *answers)
    for at in range(2, len(fields)):
        emptied = b"|".join(b"" if number == at else part for number, part in enumerate(fields)) + b"\r" + rest
        yield single(f"MSH-{at + 1} empty", emptied, *(("AR",) if at in (8, 9, 10, 11) else ("AA",)))
    yield single("MSH of separators alone", b"MSH" + b"|" * 20 + b"\r" + rest, "AR")
    for version, answer in VERSIONS.items():
        yield single(f"MSH-12 {version!r}", order("4V", msh={12: version}), answer)
    for world, answer in PROCESSING_IDS.items():
        yield single(f"MSH-11 {world!r}", order("4P", msh={11: world}), answer)
    for characters, answer in ENCODING_CHARACTERS.items():
        yield single(f"MSH-2 {characters!r}", order("4E", msh={2: characters}), answer, "AE")
    for separator, answer in SEPARATORS.items():
        changed = order("4S").replace(b"|", separator.encode("latin-1"))
        yield single(f"MSH-1 {separator!r}", changed, answer, "none" if answer == "none" else answer)
    for equal in ("||||", "^^^^", "^~~&", "^~\\^", "&&&&", "|~\\&"):
        yield single(f"equal separators {equal!r}", order("4Q", msh={2: equal}), "AA", "AE", "AR")
    for name in (b"msh", b"Msh", b"MSX", b"MS", b"\xef\xbb\xbfMSX"):
        yield single(f"first segment {name!r}", name + whole[3:], "none")
    for lead in (b"\xef\xbb\xbf", b"\r\n", b" ", b"\t", b"\n\n\n"):
        yield single(f"before MSH {lead!r}", lead + order("4L"), "AA")
    yield single("MSH twice", line + b"\r" + whole, "AA", "AE")
    yield single("MSH at the end", whole + line + b"\r", "AA", "AE")
    for kind in ("", "ORM", "^O01", "ORM^", "ORM^O01^X^Y", "orm^o01", "ORM_O01", "ORM&O01", '""', "ORM^O01&1"):
        # ORM has one event only, which the oldest senders leave out.
        ok = ("AA",) if kind in ("ORM", "ORM^", "ORM^O01^X^Y") else ("AR",)
        yield single(f"MSH-9 {kind!r}", order("4K", msh={9: kind}), *ok)
    for number, text in ((15, "AL"), (15, "NE"), (15, "XX"), (16, "AL"), (16, "ER"), (7, "yesterday"), (7, "9" * 40)):
        yield single(
            f"MSH-{number} {text[:10]!r}",
            order("4M", msh={number: text}),
            "CA" if text == "AL" and number == 15 else "AA",
        )
    for size in (100, 1000, 60_000):
        yield single(f"MSH-3 of {size}", order("4N", msh={3: "R" * size}), "AA")
    yield single("1,000 MSH fields", line + b"|" * 1000 + b"\r" + rest, "AA")


# --- H07: floods -------------------------------------------------------------------------------------------------

FLOOD = 10_000


def floods() -> Iterator[Case]:
    """H07: more of everything than anybody means."""
    for mark in "~^&":
        yield single(f"PID-3 with {FLOOD} {mark}", order("7A", of_pid={3: "H7A^^^HOSP" + mark * FLOOD}), "AA", "AE")
        yield single(f"PID-5 with {FLOOD} {mark}", order("7B", of_pid={5: "Doe" + mark * FLOOD}), "AA", "AE")
        yield single(f"OBR-4 with {FLOOD} {mark}", order("7C", of_obr={4: "US1^US^L" + mark * FLOOD}), "AA", "AE")
        yield single(f"OBR-13 with {FLOOD} values", order("7D", of_obr={13: f"A{mark}" * FLOOD}), "AA", "AE")
        yield single(f"ZDS-1 with {FLOOD} {mark}", order("7E", further=("ZDS|1.2.3" + mark * FLOOD,)), "AA", "AE")
        yield single(f"PID-3 of {FLOOD} valued", order("7F", of_pid={3: mark.join(["H7F^^^HOSP"] * FLOOD)}), "AA", "AE")
    yield single("10,000 fields", order("7G", further=("ZZZ" + "|x" * FLOOD,)), "AA")
    yield single("10,000 unknown segments", order("7H", further=("ZZZ|1",) * FLOOD), "AA")
    yield single("20,000 OBX", order("7I", further=("OBX|1|TX|X^Y||z",) * 20_000), "AA")
    yield single("1 MiB of ED", order("7J", further=("OBX|1|ED|P^Q||^^^Base64^" + "QUJD" * 2**18,)), "AA")
    yield single("5 MiB of NTE", order("7K", further=("NTE|1||" + "x" * 5 * 2**20,)), "AA")
    yield single("10,000 NTE", order("7L", further=("NTE|1||x",) * FLOOD), "AA")
    yield single("500 AL1", order("7M", further=("AL1|1|DA|^Nuts",) * 500), "AA")
    for name in ("PID", "PV1", "ORC", "OBR", "NTE", "ZDS"):
        flooded = order("7W", further=(name + "|" * FLOOD,))
        yield single(f"{name} of {FLOOD} empty fields", flooded, "AA", "AE")
    for count in (50, 200):
        groups = tuple(line for n in range(count) for line in (orc(f"7N{n}"), obr(f"7N{n}")))
        yield single(f"{count} orders", encoded(header("ORM^O01", f"C7N{count}"), pid("7N"), *groups), "AA")
        steps = tuple(line for n in range(count) for line in (orc("7O"), obr("7O", {20: f"S{n}"})))
        yield single(f"{count} steps", encoded(header("ORM^O01", f"C7O{count}"), pid("7O"), *steps), "AA")
    for count in (50, 1000):
        pairs = tuple(line for n in range(count) for line in (pid(f"7Q{n}"), f"MRG|H7R{n}^^^HOSP"))
        if count == 50:
            yield single(f"{count} merges", encoded(header("ADT^A40", "C7Q"), "EVN|A40", *pairs), "AA")
    for number, text in ((2, "P" * 100_000), (3, "F" * 100_000)):
        yield single(f"ORC-{number} of 100,000", order("7S", of_orc={number: text}), "AE 102")
    yield single("one segment of 1 MiB without separators", order("7T", further=("Z" * 2**20,)), "AA")
    yield single("1,000,000 separators", order("7U", further=("NTE" + "|" * 1_000_000,)), "AE 102 NTE^1")
    yield single("deep escapes", order("7V", of_pid={5: "\\E" * 50_000}), "AA", "AE")


# --- H08: identifiers --------------------------------------------------------------------------------------------


def identifiers() -> Iterator[Case]:
    """H08: control and patient identifiers that are missing, long, strange, repeated or ambiguous."""
    yield single("no MSH-10", order("8", msh={10: ""}), "AR 101 MSH^1^10")
    for length in (20, 50, 199, 200, 255, 256, 2000):
        yield single(f"MSH-10 of {length}", order("8A", control="C" * length), "AA")
    for control in (
        "\\T\\",
        "a b",
        " lead",
        "ü",
        "'; DROP TABLE inbox; --",
        "%s%n",
        "../x",
        "<b>",
        "0",
        "-1",
        '""',
        "^^",
        "~",
    ):
        yield single(f"MSH-10 {control!r}", order("8B", control=control), "AA", "AR")
    for length in (1, 2, 3, 64, 100, 180, 254, 257, 1000, 20_000):
        yield single(f"MSH-4 and MSH-10 of {length}", order("8J", control="J" * length, msh={4: "F" * length}), "AA")
    for count in (1, 2, 50):
        reps = "~".join(f"X{n}^^^A{n}^AN" for n in range(count))
        yield single(f"PID-3 of {count} repetitions", order("8C", of_pid={3: f"H8C^^^HOSP^MR~{reps}"}), "AA")
    for n, (text, answer) in enumerate(PATIENT_IDS.items()):
        yield single(f"PID-3 {text[:30]!r}", order(f"8D{n}", of_pid={3: text}), *answer)
    for n, (field, length, answer) in enumerate(LENGTHS):
        changed = {field: "9" * length}
        yield single(f"OBR-{field} of {length}", order(f"8E{n}", of_obr=changed), answer)
    yield Case(
        "two patients with one identifier",
        (order("8F"), order("8G", of_pid={3: "H8F^^^CLINIC^MR", 5: "Else^Someone"})),
        (frozenset({"AA"}), frozenset({"AA"})),
    )
    yield Case(
        "one accession number for two patients",
        (order("8H"), order("8I", of_obr={18: "A8H"})),
        (frozenset({"AA"}), frozenset({"AE 204"})),
    )


PATIENT_IDS: dict[str, tuple[str, ...]] = {
    "": ("AE 101 PID^1^3",),
    "^^^HOSP": ("AE 101 PID^1^3",),
    '""': ("AE 102 PID^1^3",),
    " ": ("AE 101 PID^1^3",),
    "~~~": ("AE 101 PID^1^3",),
    "&&&": ("AE 101 PID^1^3",),
    "H8D": ("AA",),
    "9" * 64: ("AA",),
    "9" * 65: ("AE 102 PID^1^3",),
    "9" * 300: ("AE 102 PID^1^3",),
    "A\\E\\B": ("AE 102 PID^1^3",),
    "A\\X0D\\B": ("AE 102 PID^1^3",),
    "A\\X00\\B": ("AE 102 PID^1^3",),
    "H8Dü": ("AA",),
    "H8D*": ("AA",),
    "~H8D^^^HOSP": ("AA", "AE"),
    "H8D^^^" + "A" * 100: ("AA", "AE 102 PID^1^3"),
}
LENGTHS = (
    *((18, 16, "AA"), (18, 17, "AE 102 OBR^1^18"), (18, 300, "AE 102 OBR^1^18")),
    *((19, 16, "AA"), (19, 17, "AE 102 OBR^1^19"), (20, 16, "AA"), (20, 17, "AE 102 OBR^1^20")),
)


# --- H15: for others ---------------------------------------------------------------------------------------------

OTHER_KINDS = (
    *("ORU^R01", "ORU^R03", "MDM^T02", "DFT^P03", "BAR^P01", "MFN^M02", "QRY^A19", "QBP^Q11", "RDE^O11", "RAS^O17"),
    *("VXU^V04", "OML^O21", "OMD^O03", "OMS^O05", "OMN^O07", "OMP^O09", "ORR^O02", "ORL^O22", "ORG^O20", "ORI^O24"),
    *("SRM^S01", "SRR^S01", "SQM^S25", "REF^I12", "PPR^PC1", "RSP^K11", "NMD^N02", "SSU^U03", "CSU^C09", "PMU^B01"),
    *("ZZZ^Z01", "ADT^Z99", "ADT^A99", "ADT^A00", "ADT^A61", "ADT^A62", "SIU^S16", "SIU^S18", "SIU^S19", "SIU^S20"),
    *("SIU^S21", "SIU^S22", "SIU^S23", "SIU^S24", "SIU^S99", "ORM^O02", "ORM^O03", "ORM^Z01", "OMG^O01", "OMG^O20"),
    *("OMI^O01", "OMI^O24", "OMI^O19", "OMG^O23", "ORM^O19", "ORM^O23", "ADT^O01", "SIU^O01", "XXX^O01", "ORM^O00"),
)


def for_others() -> Iterator[Case]:
    """H15: kinds, events and addressees that are not ours get AR, never AA."""
    for kind in OTHER_KINDS:
        yield single(kind, order("15", control=f"C15{kind}", msh={9: kind}), "AR 200", "AR 201")
    for number, (application, facility, answer) in enumerate(_ADDRESSES):
        header = {3: "ADDRESSED", 5: application, 6: facility}
        yield single(f"to {application} at {facility}", order("15", control=f"C15T{number}", msh=header), answer)


_TO_ANOTHER, _TO_ELSEWHERE = "AR 103 MSH^1^5", "AR 103 MSH^1^6"
_ADDRESSES = (
    *((application, "HOSP", "AA") for application in ("BROKER", "MWL", "BROKER^1.2.3^ISO", "MWL^^L")),
    *(("BROKER", facility, "AA") for facility in ("HOSP", "", "HOSP^1.2^ISO")),
    *((name, "HOSP", _TO_ANOTHER) for name in ("PACS", "", "broker", "BROKER2", "BROK", "BROKER&1.2", '""', "RIS")),
    *(("BROKER", name, _TO_ELSEWHERE) for name in ("CLINIC", "hosp", "HOSPITAL", "HO", '""', "HOSP&1")),
    ("PACS", "CLINIC", _TO_ANOTHER),
)
