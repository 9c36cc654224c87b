"""Standard output for data, stderr for messages; text of a model is made safe for a terminal."""

import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import Progress, ProgressColumn

from charlm.console.figures import NAMES, in_columns
from charlm.data.formats.json_lines import json_line
from charlm.errors import ConfigError, CorpusError

__all__ = [
    "compact",
    "duration",
    "harmless",
    "on_one_line",
    "print_json",
    "print_named",
    "print_note",
    "printable",
    "progress_bar",
    "read_prompts",
    "talk",
    "write_text",
]

ORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Embeddings, overrides and isolates of Unicode's bidirectional algorithm: text between them can
be shown as other text than it is.  The marks of single characters (U+200E, U+200F) are not here,
because Arabic and Hebrew need them."""


def talk() -> Console:
    """The console of stderr, for messages.  A new one each time, because it may be redirected."""
    return Console(
        stderr=True,
        highlight=False,
        soft_wrap=not sys.stderr.isatty(),
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def print_named(console: Console, name: str, text: str, width: int = NAMES) -> None:
    """Print a name, and beside it a text, wrapped to its column on a terminal."""
    line = in_columns(name, text, None if console.soft_wrap else console.width, width)
    console.print(line, markup=False, soft_wrap=True)


def print_note(text: str) -> None:
    """Print on stderr something that the user should know."""
    print_named(talk(), "note", text)


def progress_bar(*columns: str | ProgressColumn) -> Progress:
    """A bar on stderr that disappears when it is done; nothing where that is no terminal."""
    console = talk()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def read_prompts(prompt: str, path: Path | None) -> list[str]:
    """``prompt``, or all of stdin if it is ``-``; with a ``path`` the lines of a file, in which
    ``\\n`` is a line break.

    Raises ``CorpusError`` for what is not UTF-8, and ``ConfigError`` for two sources or none.
    """
    if path is None:
        return [prompt if prompt != "-" else utf8(sys.stdin.buffer.read(), "the prompt")]
    if prompt:
        raise ConfigError(
            "`prompt` and `prompts` contradict each other", "put all prompts into the file"
        )
    try:
        lines = utf8(path.read_bytes(), str(path)).splitlines()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}", "check the path") from None
    if not lines:
        raise ConfigError(f"{path} holds no prompt", "write one on each line")
    return [line.replace("\\n", "\n") for line in lines]


def utf8(content: bytes, name: str) -> str:
    """The text of bytes.  Raises ``CorpusError`` naming the first that is not UTF-8."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{name} is not utf-8 text: byte 0x{error.object[error.start]:02x} at offset "
            f"{error.start:,} ({error.reason})",
            "convert it, for example with: iconv -f latin1 -t utf-8",
        ) from None


def printable(text: str) -> str:
    """``text`` without what could steer a terminal, as a model that has seen escape sequences may
    write it; tabs and line breaks stay as they are.
    """
    without_returns = text.replace("\r", "")  # of CR LF line breaks
    return "".join(char if char in "\n\t" else harmless(char) for char in without_returns)


def harmless(text: str) -> str:
    """``text`` with a visible character for every control character, line breaks included, and
    for those that make a terminal show what follows in another order.
    """
    return "".join(visible(char) if steers(char) else char for char in text)


def steers(char: str) -> bool:
    """Whether a terminal obeys a character instead of showing it."""
    return ord(char) < 32 or 127 <= ord(char) < 160 or char in ORDERING


def on_one_line(text: str, columns: int | None = None) -> str:
    """``text`` made safe for a terminal, with control pictures for tabs and line breaks as well;
    what goes beyond ``columns`` is cut off, and marked by an ellipsis.
    """
    line = "".join(visible(char) if char in "\n\t" else char for char in printable(text))
    if columns is None or cell_len(line) <= columns:
        return line
    return set_cell_size(line, columns - 1).rstrip() + "…"


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
    sys.stdout.write(json_line(finite(record)))
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
