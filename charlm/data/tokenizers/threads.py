"""Long calls of compiled code, made so that Python still answers signals meanwhile."""

import _thread
import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["in_thread"]

Result = TypeVar("Result")

PATIENCE = 0.5
"""Seconds that an abandoned call has for its last steps in Python before the process goes on."""

POLL = 0.02
"""Seconds between two checks whether the work has ended."""


def in_thread(work: Callable[[threading.Event], Result]) -> Result:
    """Do ``work`` in a thread of its own and wait for it; what it raises is raised here.

    Handlers of signals run in the main thread, and only between two steps of Python: compiled code
    would keep them waiting until it returns.  If one raises, ``work`` is abandoned; the event that
    it gets is set then, so that it can end early.
    """
    abandoned, results, failures = threading.Event(), list[Result](), list[Exception]()

    def run() -> None:
        try:
            results.append(work(abandoned))
        except Exception as error:
            failures.append(error)

    try:
        # No lock is waited for here, in ``Thread.start`` or ``join``: an exception of a handler
        # could come where the lock is neither held nor released, and become another exception.
        _thread.start_new_thread(run, ())
        while not (results or failures):
            time.sleep(POLL)
    except BaseException:
        abandoned.set()
        end = time.monotonic() + PATIENCE
        while not (results or failures) and time.monotonic() < end:
            time.sleep(POLL)
        raise
    if failures:
        raise failures[0]
    return results[0]
