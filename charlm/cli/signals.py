"""Signals become a reason to stop that long work asks for; a second one ends it at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["StopFlag", "stopping"]

CAUGHT = [
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if (number := getattr(signal, name, None)) is not None
]


class StopFlag:
    """Called, it gives the name of the signal that came, or None; ``code`` is the exit code."""

    def __init__(self) -> None:
        self.code = 0
        self.name: str | None = None

    def __call__(self) -> str | None:
        return self.name

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal; leave at once on the second.  Files are whole at any moment."""
        if self.name is not None:
            os._exit(128 + number)
        self.name, self.code = signal.Signals(number).name, 128 + number


@contextmanager
def stopping() -> Iterator[StopFlag]:
    """Catch INT, TERM, HUP and USR1 while the block runs."""
    flag = StopFlag()
    before = {number: signal.signal(number, flag.receive) for number in CAUGHT}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
