"""Long calls of compiled code, made so that Python still answers signals meanwhile."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["aside"]

Result = TypeVar("Result")

PATIENCE = 0.5
"""Seconds that an abandoned call has for its last steps in Python before the process goes on."""

POLL = 0.02
"""Seconds between two looks for the end of the work.  A signal ends the sleep between them at once;
it would leave the lock of a ``join`` in disorder.
"""


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
    try:
        thread.start()
        while thread.is_alive():
            time.sleep(POLL)
    except BaseException:
        abandoned.set()
        if thread.is_alive():
            thread.join(PATIENCE)
        raise
    if failures:
        raise failures[0]
    return results[0]
