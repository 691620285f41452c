"""A RIS for the demo, on sockets alone: sends one ORM^O01 over MLLP and says how it was acknowledged.

Run as `python -m tests.demo.ris --port PORT FILE`; one JSON object on stdout. Nothing of ours is imported.
"""

import argparse
import json
import socket
import sys
from pathlib import Path

TIMEOUT = 10.0
START, END = b"\x0b", b"\x1c\r"


def main() -> None:
    """Send the file as it is and print the acknowledgement's fields."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    message: bytes = arguments.file.read_bytes()
    answer = _exchange(arguments.port, message).decode("utf-8")
    json.dump(_read(answer), sys.stdout, ensure_ascii=False)
    print()


def _exchange(port: int, message: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connection:
        connection.sendall(START + message + END)
        received = b""
        while not received.endswith(END):
            piece = connection.recv(65_536)
            if not piece:
                break
            received += piece
    return received.removeprefix(START).removesuffix(END)


def _read(acknowledgement: str) -> dict[str, object]:
    segments = {line.split("|")[0]: line.split("|") for line in acknowledgement.split("\r") if line}
    msa = [*segments.get("MSA", []), "", "", ""]
    return {"code": msa[1], "control_id": msa[2], "segments": list(segments.values())}


if __name__ == "__main__":
    main()
