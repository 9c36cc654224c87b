"""Standard streams that were closed before the program started (``>&-`` in a shell)."""

import io
import os
import sys
from typing import NoReturn

from charlm.errors import CorpusError

__all__ = ["NO_READER", "flush_streams", "replace_closed_streams"]

NO_READER = 141
"""Exit code where the reader of stdout went away, as ``head`` does: 128 + the number of SIGPIPE."""

STANDARD = 2
"""The highest descriptor of a standard stream."""


class ClosedStream(io.TextIOBase):
    """Takes the place of a closed stream; using it raises ``CorpusError``."""

    def __init__(self, name: str, hint: str) -> None:
        self.title, self.hint = name, hint

    @property
    def buffer(self) -> "ClosedStream":
        """The stream of bytes, which is closed too."""
        return self

    def read(self, size: int | None = -1) -> NoReturn:
        """Raise ``CorpusError``."""
        raise CorpusError(f"{self.title} is closed", self.hint)

    def write(self, text: object) -> NoReturn:
        """Raise ``CorpusError``."""
        raise CorpusError(f"{self.title} is closed", self.hint)


def replace_closed_streams() -> None:
    """Let the program run with closed streams.

    Without stderr no messages are shown; without stdout or stdin a command fails when it needs it.
    """
    # A file that is opened later would get the free number of a standard stream, and libraries
    # that write messages to descriptor 2 would write into it.
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= STANDARD:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  (until the program ends)
    if sys.stdout is None:
        sys.stdout = ClosedStream("standard output", "send it somewhere: > FILE")
    if sys.stdin is None:
        sys.stdin = ClosedStream("standard input", "name a file, or pipe the text in")


def flush_streams() -> OSError | None:
    """Write out what stdout and stderr still hold; returns why stdout could not be written.

    What cannot be written is dropped: Python would fail to write it once more at its end, and exit
    with 120.
    """
    failure = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            failure = error if stream is sys.stdout else failure
    return failure
