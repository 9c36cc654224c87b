"""Standard streams that whoever started the program has closed (``>&-`` in a shell)."""

import io
import os
import sys
from typing import NoReturn

from charlm.errors import CorpusError

__all__ = ["replace_closed_streams"]

STANDARD = 2
"""The highest descriptor of a standard stream."""


class ClosedStream(io.TextIOBase):
    """Stands for a stream that is closed: whoever uses it is told so in one line."""

    def __init__(self, name: str, hint: str) -> None:
        self.title, self.hint = name, hint

    @property
    def buffer(self) -> "ClosedStream":
        """Bytes are refused as text is."""
        return self

    def read(self, size: int | None = -1) -> NoReturn:
        """Raise ``CorpusError``."""
        raise CorpusError(f"{self.title} is closed", self.hint)

    def write(self, text: object) -> NoReturn:
        """Raise ``CorpusError``."""
        raise CorpusError(f"{self.title} is closed", self.hint)


def replace_closed_streams() -> None:
    """Let the program run with closed streams.

    Without stderr nothing is told; without stdout or stdin a command fails once it needs them.
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
