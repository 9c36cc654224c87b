"""Commands in processes that are forked from this one, and signals that reach them at a call of one
of their functions.
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.cli import signals
from charlm.cli.main import main

__all__ = ["ALL", "ENDING", "NAMES", "TRAIN", "at", "charlm", "send", "signalled"]

signalled = [
    pytest.mark.timeout(120),
    pytest.mark.usefixtures("everything_imported"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked"),
]
"""Marks of all tests that use this."""

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
ALL = [*ENDING, signal.SIGUSR2]
NAMES = [number.name for number in ALL]

TRAIN = "train book.txt --out mine --hidden-size 8 --batch-size 4 --bptt 8 --steps 40"
"""A training of 40 steps."""


def at(point: str, call: int, action: Callable[[], None]) -> None:
    """Do ``action`` before the n-th call of a function from now on."""
    module, _, path = point.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original, left = getattr(owner, name), call

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            action()
        return original(*arguments, **named)

    setattr(owner, name, counted)


def offline(url: str, start: int) -> Any:
    """What a server on the way answers: bytes without an end."""

    class Answer:
        status, headers = 200, dict[str, str]()

        def __enter__(self) -> "Answer":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def read(self, size: int) -> bytes:
            return bytes(min(size, 1000))

    return Answer()


def charlm(
    command: str, prepare: Callable[[], None] = lambda: None, *, echoes: bool = False
) -> tuple[int, str]:
    """Run a command in a forked process after ``prepare``; its exit code and what it said.

    Without ``echoes`` a signal that follows another one at once is a second one.
    """
    child = os.fork()
    if child == 0:
        code = 99
        try:
            for number, name in ((1, "out.txt"), (2, "err.txt")):
                os.dup2(os.open(f"../{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            sys.argv = ["charlm", *command.split()]
            for number in ALL:
                signal.signal(number, signal.SIG_DFL)
            signals.SAME_SIGNAL = 60.0 if echoes else -1.0
            importlib.import_module("charlm.data.catalogue.download").connect = offline
            prepare()
            main()
        except SystemExit as done:
            code = int(done.code or 0)
        finally:
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, Path("../err.txt").read_text()


def send(*numbers: int) -> None:
    """Let signals reach this process one right after the other."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
