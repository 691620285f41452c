"""`python -m tests.bench.ris PORT CONNECTIONS FOLDER`: sends prepared MLLP frames as fast as they are answered.

A process of its own, so that it and the broker do not share an interpreter. Each file of FOLDER is one connection's
frames. Prints one JSON document: seconds, answers by MSA-1, and each answer's milliseconds.
"""

import json
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path

_END = b"\x1c\r"


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    senders = [_Sender(port, file.read_bytes().split(_END)[:-1]) for file in sorted(folder.iterdir())]
    threads = [threading.Thread(target=sender.run) for sender in senders]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.monotonic() - begun
    codes = sum((sender.codes for sender in senders), Counter[str]())
    waits = sorted(wait for sender in senders for wait in sender.waits)
    print(json.dumps({"seconds": seconds, "codes": codes, "waits": waits}))


class _Sender:
    def __init__(self, port: int, frames: list[bytes]) -> None:
        self._frames = [frame + _END for frame in frames]
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.codes: Counter[str] = Counter()
        self.waits: list[float] = []

    def run(self) -> None:
        for frame in self._frames:
            begun = time.monotonic()
            self._socket.sendall(frame)
            answer = self._answer()
            self.waits.append((time.monotonic() - begun) * 1000)
            self.codes[answer.partition(b"\rMSA|")[2][:2].decode()] += 1
        self._socket.close()

    def _answer(self) -> bytes:
        answer = b""
        while not answer.endswith(_END):
            received = self._socket.recv(65_536)
            if not received:
                raise ConnectionError("closed without an answer")
            answer += received
        return answer


if __name__ == "__main__":
    main()
