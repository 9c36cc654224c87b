"""The two streams, and how text that a model wrote gets onto a terminal unharmed."""

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console

__all__ = ["duration", "print_json", "printable", "talk", "write_text"]


def talk() -> Console:
    """stderr, for people.  Made anew each time, so that a redirected stream is seen."""
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty())


def printable(text: str) -> str:
    """``text`` with control characters but tab and newline made visible.

    A model that has seen escape sequences must not be able to steer the terminal.
    """
    return "".join(
        char if char in "\n\t" or not (ord(char) < 32 or 127 <= ord(char) < 160) else visible(char)
        for char in text
    )


def visible(char: str) -> str:
    """The control picture of an ASCII control character, U+FFFD for the others."""
    if ord(char) < 32:
        return chr(0x2400 + ord(char))
    return "\u2421" if ord(char) == 127 else "\ufffd"


def write_text(text: str, stream: TextIO | None = None) -> None:
    """Write model text to stdout at once: exact into files and pipes, harmless on a terminal."""
    stream = stream or sys.stdout
    stream.write(printable(text) if stream.isatty() else text)
    stream.flush()


def print_json(record: Mapping[str, Any]) -> None:
    """One object, one line; numbers that JSON lacks become null."""
    finite = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in record.items()
    }
    sys.stdout.write(json.dumps(finite, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def duration(seconds: float) -> str:
    """Like 0:42, 12:05 or 1:02:03."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
