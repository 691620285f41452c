"""`python parse.py hl7apy|hl7 FILE`: seconds to parse the messages of a file; imports nothing of ours."""

import sys
import time
from pathlib import Path


def main() -> None:
    texts = [raw.decode("latin-1") for raw in Path(sys.argv[2]).read_bytes().split(b"\x1c")]
    if sys.argv[1] == "hl7apy":
        from hl7apy.parser import parse_message

        def parse(text: str) -> object:
            return parse_message(text, find_groups=False)

    else:
        # The PyPI package, not ours: this file is run with an interpreter that has only that.
        sys.path = [entry for entry in sys.path if not (Path(entry or ".") / "broker").is_dir()]
        import hl7

        parse = hl7.parse  # type: ignore[attr-defined]
    parse(texts[0])
    begun = time.perf_counter()
    for text in texts:
        parse(text)
    print(time.perf_counter() - begun)


if __name__ == "__main__":
    main()
