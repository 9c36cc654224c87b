"""Signals: outside training they end the program at once; in training they are a reason to stop."""

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

__all__ = ["Interrupted", "StopFlag", "interruptible", "stopping"]

Record = TypeVar("Record")

CAUGHT = [
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if (number := getattr(signal, name, None)) is not None
]


SAME_SIGNAL = 1.0
"""Seconds in which a second signal is the same request: launchers pass on what the terminal sent
to everybody anyway."""


class Interrupted(KeyboardInterrupt):
    """A signal came; ``code`` is the exit code for it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


def interrupt(number: int, frame: FrameType | None) -> None:
    """Handle a signal by raising ``Interrupted``, so that what is open gets closed."""
    raise Interrupted(number)


@contextmanager
def handling(handler: Any) -> Iterator[None]:
    """Let ``handler`` receive the signals of ``CAUGHT`` while the block runs.

    Ignored ones stay ignored: ``nohup`` and shells' background jobs rely on it.
    """
    before = {number: signal.getsignal(number) for number in CAUGHT}
    wanted = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in wanted:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in wanted.items():
            signal.signal(number, old)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block every signal raises ``Interrupted``."""
    with handling(interrupt):
        yield


class StopFlag:
    """Asked, it names the signal that came, or says None; ``code`` is the exit code."""

    def __init__(self) -> None:
        self.code = 0
        self.name: str | None = None
        self.gentle = False
        self.received = 0.0

    def __call__(self) -> str | None:
        return self.name

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note the first signal if noting is enough; raise ``Interrupted`` otherwise."""
        now = time.monotonic()
        if not self.gentle or (self.name is not None and now - self.received > SAME_SIGNAL):
            raise Interrupted(number)
        if self.name is None:
            self.name, self.code = signal.Signals(number).name, 128 + number
            self.received = now

    def from_first(self, kind: type, records: Iterable[Record]) -> Iterator[Record]:
        """Pass ``records`` on; from the first one of ``kind`` to the end, signals are only noted.

        Before it there is nothing to save, and waiting for a good moment would only take time.
        """
        for record in records:
            self.gentle = self.gentle or isinstance(record, kind)
            yield record
        self.gentle = False


@contextmanager
def stopping() -> Iterator[StopFlag]:
    """A flag that receives the signals that come while the block runs."""
    flag = StopFlag()
    with handling(flag.receive):
        yield flag
