"""The PyPI package `hl7` as a RIS, run by an interpreter of its own since it shares our import name.

Asked for on stdin as {"port", "count", "byte_by_byte"}; prints {"answers": [[MSA-1, MSA-2], ...]}.
"""

import json
import socket
import sys

import hl7
from hl7.client import CR, EB, SB, MLLPClient

ORDER = (
    "MSH|^~\\&|RIS|HOSP|BROKER|RAD|20260131102233||ORM^O01|H{0}|T|2.3.1||||||UNICODE UTF-8\r"
    "PID|||4711^^^HOSP||Müßig^Eva\rORC|NW|P{0}\r"
)


def main() -> None:
    asked = json.loads(sys.stdin.read())
    answers = []
    with MLLPClient("127.0.0.1", asked["port"]) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(asked["count"]):
            message = hl7.parse(ORDER.format(number))
            raw = byte_by_byte(client, message) if asked["byte_by_byte"] else client.send_message(message)
            answer = hl7.parse(raw.strip(SB + EB + CR).decode("utf-8"))
            answers.append([str(answer.segment("MSA")[1]), str(answer.segment("MSA")[2])])
    print(json.dumps({"answers": answers}))


def byte_by_byte(client: MLLPClient, message: hl7.Message) -> bytes:
    for byte in SB + str(message).encode(client.encoding) + EB + CR:
        client.socket.sendall(bytes([byte]))
    return client.socket.recv(4096)


if __name__ == "__main__":
    main()
