"""An action in a child process with limits on its time and memory."""

import os
import pickle
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from charlm.errors import CharlmError

MEMORY = 200 << 20
"""Bytes that an action may take beside what the process has already."""

SECONDS = 1.0
"""Processor time that an action may take."""

PATIENCE = 200
"""Seconds after which a child that waits for something is killed."""


@dataclass(frozen=True)
class Outcome:
    """How an action ended: the error, ``""`` if there was none, and what it took."""

    kind: str
    message: str
    seconds: float
    bytes: int

    @property
    def declared(self) -> bool:
        """Whether the action raised one of charlm's errors."""
        return self.kind in {each.__name__ for each in all_errors(CharlmError)}


def all_errors(kind: type[Exception]) -> list[type[Exception]]:
    """A kind of error and all kinds below it."""
    return [kind, *(each for below in kind.__subclasses__() for each in all_errors(below))]


def limited(action: Callable[[], object], memory: int = MEMORY) -> Outcome:
    """Run ``action`` in a forked child that has at most ``memory`` bytes more than this process."""
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(receiving)
            signal.alarm(PATIENCE)
            resource.setrlimit(resource.RLIMIT_AS, (address_space() + 2 * memory,) * 2)
            os.write(sending, pickle.dumps(measured(action)))
        finally:
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        content = pipe.read()
    _, status = os.waitpid(child, 0)
    if not content:
        return Outcome(f"killed by {os.waitstatus_to_exitcode(status)}", "", 0.0, 0)
    outcome: Outcome = pickle.loads(content)
    return outcome


def measured(action: Callable[[], object]) -> Outcome:
    """Run ``action`` and tell how it ended."""
    before, began = peak(), time.process_time()
    kind = message = ""
    try:
        action()
    except BaseException as error:
        kind, message = type(error).__name__, str(error)
    return Outcome(kind, message, time.process_time() - began, peak() - before)


def peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def address_space() -> int:
    """The address space of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def refused(action: Callable[[], object], *words: str) -> Outcome:
    """``action`` ends in a declared error with these words in it, soon and in little memory."""
    outcome = limited(action)
    assert outcome.declared, outcome
    assert all(word in outcome.message for word in words), outcome.message
    assert outcome.seconds < SECONDS, outcome
    assert outcome.bytes < MEMORY, outcome
    return outcome


class Trap:
    """What calls a function when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("sprung",)
