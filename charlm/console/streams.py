"""Standard output for data, stderr for messages."""

import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress, ProgressColumn
from rich.segment import Segment

from charlm.console.figures import NAMES, in_columns
from charlm.console.terminal import harmless, without_protection
from charlm.data.formats.json_lines import json_line
from charlm.data.formats.nbest import numbered_lines
from charlm.data.sources.pieces import TextFile
from charlm.data.sources.spool import lasting_file
from charlm.errors import ConfigError, CorpusError

__all__ = [
    "compact",
    "duration",
    "on_one_line",
    "print_json",
    "print_named",
    "print_note",
    "progress_bar",
    "read_prompts",
    "result_of",
    "talk",
    "write_text",
]


class SafeConsole(Console):
    """A console that styles text and shows what would steer a terminal, links included."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The segments of ``renderable``, harmless on a terminal; rich's own controls stay."""
        for segment in super().render(renderable, options):
            if segment.control or not self.is_terminal:
                yield segment
            else:
                style = segment.style and segment.style.update_link(None)
                yield Segment(harmless(segment.text, kept="\n"), style)


def talk() -> Console:
    """The console of stderr, for messages.  A new one each time, because it may be redirected."""
    return SafeConsole(
        file=without_protection(sys.stderr),
        markup=False,
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


def result_of(
    records: Iterable[Any],
    progress: Mapping[type, Callable[[Any], tuple[str, float, float | None]]],
    *columns: str | ProgressColumn,
) -> Any:
    """The last record; those before it move a bar.

    ``progress`` says for each of their types what is being done, how much of it is done, and how
    much there is to do, None where that is not known.
    """
    with progress_bar(*columns) as bar:
        task = bar.add_task("", total=None)
        for record in records:
            if type(record) not in progress:
                return record
            what, done, total = progress[type(record)](record)
            bar.update(task, description=what, completed=done, total=total)
    raise AssertionError("long work ends with its result")


def read_prompts(prompt: str, path: Path | None) -> list[str]:
    """``prompt``, or all of stdin if it is ``-``; with a ``path`` the lines of a file, in which
    ``\\n`` is a line break.

    Raises ``CorpusError`` for what is not UTF-8 or no file, and ``ConfigError`` for two sources or
    none.
    """
    if path is None:
        return [prompt if prompt != "-" else utf8(sys.stdin.buffer.read(), "the prompt")]
    if prompt:
        raise ConfigError(
            "`prompt` and `prompts` contradict each other", "put all prompts into the file"
        )
    lines = numbered_lines(TextFile(*lasting_file(str(path))))
    prompts = [line.replace("\\n", "\n") for _, line in lines]
    if not prompts:
        raise ConfigError(f"{path} holds no prompt", "write one on each line")
    return prompts


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


def on_one_line(text: str, columns: int | None = None) -> str:
    """``text`` made safe for a terminal, with control pictures for tabs and line breaks as well;
    what goes beyond ``columns`` is cut off, and marked by an ellipsis.
    """
    line = harmless(text.replace("\r", ""))
    if columns is None or cell_len(line) <= columns:
        return line
    return set_cell_size(line, columns - 1).rstrip() + "…"


def write_text(text: str, stream: TextIO | None = None) -> None:
    """Write text to stdout at once, exactly; a terminal has its own protection."""
    stream = stream or sys.stdout
    stream.write(text)
    stream.flush()


def print_json(record: Mapping[str, Any], *, flush: bool = True) -> None:
    """One object, one line; numbers that JSON lacks become null.

    On a terminal, what would steer it is escaped, so that the line stays the same JSON.
    """
    line = json_line(finite(record))
    if sys.stdout.isatty():
        line = harmless(line, show=lambda char: json.dumps(char)[1:-1], kept="\n")
    sys.stdout.write(line)
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
