"""Long calls of compiled code, made so that Python still answers signals meanwhile."""

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["aside"]

Result = TypeVar("Result")

PATIENCE = 0.5
"""Seconds that an abandoned call has for its last steps in Python before the process goes on."""

POLL = 0.1
"""Seconds between two looks for signals that came."""


def aside(work: Callable[[threading.Event], Result]) -> Result:
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

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(POLL)  # the system may have given the signal to another thread
    except BaseException:
        abandoned.set()
        thread.join(PATIENCE)
        raise
    if failures:
        raise failures[0]
    return results[0]
