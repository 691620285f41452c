"""Has copies made by the decoding process, for as long as a batch is on its way. Decides nothing.

Copies lie in `transcoding/` beside the spool's files, are made anew for each try, and are never what a proof is about.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from broker import durable
from broker.delivery.model import Delivery
from broker.delivery.transcoding.rule import LOSSY
from broker.spool.files import FileSpool
from broker.spool.model import SpooledInstance

PACKAGES = Path(sys.prefix) / "transcoding"
"""Where `make transcoding` puts decoders: no other process pays for loading them."""

_FOLDER = "transcoding"
_SECONDS, _OCTETS_A_SECOND = 60.0, 1_000_000
_OLD_SECONDS = 24 * 3600.0

Batch = Sequence[tuple[Delivery, SpooledInstance]]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A batch in which copies stand in for what is transcoded; and of which none could be made, and why."""

    batch: Batch
    parked: Sequence[Delivery] = ()
    problems: dict[int, str] = field(default_factory=dict)  # by the delivery's id


def wanted(batch: Batch) -> bool:
    """Tell whether anything in a batch is to be sent in another syntax."""
    return any(delivery.syntax for delivery, _ in batch)


@contextmanager
def prepared(spool: FileSpool, batch: Batch) -> Iterator[Prepared]:
    """Make the copies that a batch needs, for the block."""
    if not wanted(batch):
        yield Prepared(batch)
        return
    with durable.scratch(spool.directory / _FOLDER, _OLD_SECONDS) as folder, _decoding() as child:
        made: list[tuple[Delivery, SpooledInstance]] = []
        problems: dict[int, str] = {}
        for delivery, instance in batch:
            answer = _asked(child, spool, delivery, instance, folder) if delivery.syntax else instance
            if isinstance(answer, str):
                problems[delivery.id] = answer
            else:
                made.append((delivery, answer))
        yield Prepared(made, [delivery for delivery, _ in batch if delivery.id in problems], problems)


class _Child:
    """The decoding process; started anew where it ended or was ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, line: dict[str, object], seconds: float) -> dict[str, object]:
        """Return its answer, or the problem that there is none."""
        process = self._running()
        assert process.stdin is not None and process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        said = process.stdout.readline() if ready else b""
        if said.endswith(b"\n"):
            answer: dict[str, object] = json.loads(said)
            return answer
        self.end()
        return {"problem": "the decoder ended" if ready else f"the decoder took longer than {seconds:.0f} s"}

    def end(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            paths = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
            settings = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OPENBLAS_NUM_THREADS": "1"}
            command = [sys.executable, "-m", "broker.delivery.transcoding.child"]
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            self._process = subprocess.Popen(command, env=settings, **pipes)  # type: ignore[call-overload]
        return self._process


@contextmanager
def _decoding() -> Iterator[_Child]:
    child = _Child()
    try:
        yield child
    finally:
        child.end()


def _asked(
    child: _Child, spool: FileSpool, delivery: Delivery, instance: SpooledInstance, folder: Path
) -> SpooledInstance | str:
    """Return the copy as an instance, or why there is none."""
    copy = folder / f"{delivery.id}.dcm"
    own = instance.facts.transfer_syntax
    line: dict[str, object] = {
        "source": str(spool.path_of(instance)),
        "head": spool.head(instance).hex(),
        "offset": instance.offset,
        "length": instance.length,
        "copy": str(copy),
        "syntax": delivery.syntax,
        "lossy_method": LOSSY.get(own, ""),
    }
    answer = child.ask(line, _SECONDS + instance.length / _OCTETS_A_SECOND)
    if "problem" in answer:
        return f"it does not accept transfer syntax {own}, and {answer['problem']}; have it accept that syntax"
    return replace(
        instance,
        facts=replace(instance.facts, transfer_syntax=delivery.syntax),
        path=str(copy),
        offset=int(str(answer["offset"])),
        length=int(str(answer["length"])),
        sha256=str(answer["sha256"]),
    )
