"""The two streams, and how text that a model wrote gets onto a terminal unharmed."""

import json
import math
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console

from charlm.console.figures import NAMES, in_columns
from charlm.errors import CorpusError

__all__ = [
    "compact",
    "duration",
    "harmless",
    "print_json",
    "print_named",
    "printable",
    "read_prompt",
    "talk",
    "visible",
    "write_text",
]

ORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates of Unicode's bidirectional algorithm: text between them can
be shown as other text than it is.  The marks of single characters (U+200E, U+200F) are not here,
because Arabic and Hebrew need them."""


def talk() -> Console:
    """stderr, for people.  Made anew each time, so that a redirected stream is seen."""
    return Console(
        stderr=True,
        highlight=False,
        soft_wrap=not sys.stderr.isatty(),
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def print_named(console: Console, name: str, text: str, width: int = NAMES) -> None:
    """A line of two columns; on a terminal that is too narrow the text keeps to its column."""
    line = in_columns(name, text, None if console.soft_wrap else console.width, width)
    console.print(line, markup=False, soft_wrap=True)


def read_prompt(prompt: str) -> str:
    """``prompt``, or all of stdin if it is ``-``.  Raises ``CorpusError`` if that is not UTF-8."""
    if prompt != "-":
        return prompt
    try:
        return sys.stdin.buffer.read().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"the prompt is not utf-8 text: byte 0x{error.object[error.start]:02x} at offset "
            f"{error.start:,} ({error.reason})",
            "convert it, for example with: iconv -f latin1 -t utf-8",
        ) from None


def printable(text: str) -> str:
    """``text`` without what could steer a terminal; tabs and line breaks stay as they are.

    A model that has seen escape sequences must not be able to steer the terminal.
    """
    without_returns = text.replace("\r", "")  # of the line breaks of some systems
    return "".join(char if char in "\n\t" else harmless(char) for char in without_returns)


def harmless(text: str) -> str:
    """``text`` with a visible character for every control character, line breaks included, and
    for those that make a terminal show what follows in another order.
    """
    return "".join(visible(char) if steers(char) else char for char in text)


def steers(char: str) -> bool:
    """Whether a terminal obeys a character instead of showing it."""
    return ord(char) < 32 or 127 <= ord(char) < 160 or char in ORDERING


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


def print_json(record: Mapping[str, Any], *, flush: bool = True) -> None:
    """One object, one line; numbers that JSON lacks become null."""
    sys.stdout.write(json.dumps(finite(record), ensure_ascii=False) + "\n")
    if flush:
        sys.stdout.flush()


def finite(value: Any) -> Any:
    """A value for JSON, whatever it holds, with None for NaN and infinity."""
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def duration(seconds: float) -> str:
    """Like 0:42, 12:05 or 1:02:03."""
    minutes, rest = divmod(round(max(seconds, 0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def compact(number: float) -> str:
    """Like 950, 48.0k or 1.23M: three digits and a unit."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            digits = 2 if number < 10 * size else 1 if number < 100 * size else 0
            return f"{number / size:.{digits}f}{unit}"
    return f"{number:.0f}"
