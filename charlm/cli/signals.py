"""Signals: they end the program at once; a training first saves a checkpoint and stops.

SIGINT, SIGTERM, SIGHUP and SIGUSR1 end it with 128 + the signal's number; SIGUSR2 makes a training
save and go on, and does nothing to other commands.
"""

import math
import signal
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TypeVar, cast

__all__ = ["Interrupted", "StopFlag", "handling", "stopping"]

Record = TypeVar("Record")

CAUGHT = [
    number
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    if (number := getattr(signal, name, None)) is not None
]

SAVE = getattr(signal, "SIGUSR2", None)

SAME_SIGNAL = 1.0
"""Seconds in which a second signal counts as the first one: launchers pass on a signal that the
terminal has sent to all processes, and it must not break off what the first one has begun."""


class Interrupted(KeyboardInterrupt):
    """A signal came; ``code`` is the exit code for it."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number


@contextmanager
def handling(handler: Any) -> Iterator[None]:
    """Let ``handler`` receive the signals of ``CAUGHT``, and ``SAVE``, while the block runs.

    Ignored ones stay ignored: ``nohup`` and shells' background jobs rely on it.
    """
    numbers = [*CAUGHT, *filter(None, [SAVE])]
    before = {number: signal.getsignal(number) for number in numbers}
    wanted = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in wanted:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in wanted.items():
            signal.signal(number, old)


class StopFlag:
    """A function that returns the name of the signal that came, or None, with its exit ``code``.

    While ``gentle`` the first signal is only noted.
    """

    def __init__(self) -> None:
        self.code = 0
        self.name: str | None = None
        self.gentle = False
        self.asked = False
        self.received = -math.inf
        self.second: int | None = None

    def __call__(self) -> str | None:
        return self.name

    def save(self) -> bool:
        """Whether ``SAVE`` has come since the last call."""
        asked, self.asked = self.asked, False
        return asked

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Note ``SAVE``, and the first other signal while ``gentle``; raise ``Interrupted``
        otherwise, so that what is open gets closed.
        """
        if number == SAVE:
            self.asked = True
            return
        now = time.monotonic()
        if now - self.received <= SAME_SIGNAL:
            return
        self.received = now
        if not self.gentle or self.name is not None:
            self.second = number
            raise Interrupted(number)
        self.name, self.code = signal.Signals(number).name, 128 + number

    def from_first(self, kind: type, records: Iterator[Record]) -> Iterator[Record]:
        """Yield ``records``; from the first one of ``kind`` to the end, signals are only noted.

        Before it there is nothing to save, so a signal ends the program at once.
        """
        try:
            for record in records:
                self.gentle = self.gentle or isinstance(record, kind)
                yield record
        finally:
            self.end(cast("Generator[Record]", records))
            self.gentle = False

    def end(self, records: Generator[Record]) -> None:
        """Close a training, which saves it; after a second signal end it as it is."""
        if self.second is None:
            records.close()
        else:
            with suppress(Interrupted):
                records.throw(Interrupted(self.second))


@contextmanager
def stopping() -> Iterator[StopFlag]:
    """Yield a ``StopFlag`` that receives the signals while the block runs."""
    flag = StopFlag()
    with handling(flag.receive):
        yield flag
