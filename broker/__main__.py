"""The `broker` command from its first step to its last, and what Ctrl-C does to it. Knows no noun.

Ctrl-C says one line and ends with 130. What the command has opened is closed on the way out, silently: an interrupt
that falls into an import, a database that opens or a weak reference's end would else be told as an error of ours.
"""

import os
import signal
import sys
from io import TextIOWrapper
from types import FrameType

_EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells say it
_LINE = b"interrupted: nothing is left half written\n"


class _Interrupts:
    """Says that we were interrupted, once; a second time ends us where we are."""

    def __init__(self) -> None:
        self.seen = False
        self.over = False

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Have the command end as by an error, with nothing more said of it."""
        if self.over:
            return
        if self.seen:
            os._exit(_EXIT_INTERRUPTED)
        self.seen = True
        os.write(2, b"\n" + _LINE if os.isatty(2) else _LINE)  # a terminal has just shown ^C
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise KeyboardInterrupt


def main() -> None:
    """Run the command that the arguments name, and end the process."""
    interrupts = _Interrupts()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else whoever started us wants it ignored
        signal.signal(signal.SIGINT, interrupts.on_signal)
    try:
        try:
            _run()
        finally:
            interrupts.over = True
    finally:
        if interrupts.seen:
            os._exit(_EXIT_INTERRUPTED)  # all that was opened is closed; what still waits for a peer need not end


def _run() -> None:
    _show_what_the_terminal_can()
    from broker.cli import main as command  # noqa: PLC0415 - most of a start, and it may be interrupted as all else

    command()


def _show_what_the_terminal_can() -> None:
    """Show a question mark for what a terminal that is not UTF-8 has no character for; else that would be an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and not stream.encoding.lower().startswith("utf"):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    main()
