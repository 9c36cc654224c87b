"""Names and texts in two columns, and sentences.

Sentences are wrapped on a terminal, to COLUMNS or to its width, and nowhere else: in a pipe or a
file each is one line, which programs can search.
"""

import shutil
import sys
from collections.abc import Mapping
from textwrap import wrap
from typing import TextIO

__all__ = ["NAMES", "columns_of", "in_columns", "print_pair", "print_pairs", "print_sentences"]

NAMES = 11
"""Columns that the names take at least."""


def columns_of(stream: TextIO) -> int | None:
    """The width that sentences in ``stream`` are wrapped to; None where it is no terminal."""
    return shutil.get_terminal_size().columns if stream.isatty() else None


def in_columns(name: str, text: str, columns: int | None = None, width: int = NAMES) -> str:
    """A name in the first column, and a text wrapped in the second one.

    ``columns`` is the width of the terminal, None for no wrapping; ``width`` is that of the names.
    Paths and options stay whole, so that they can be copied.
    """
    lines = text.split("\n")
    if columns is not None:
        space = max(1, columns - width - 1)
        cut = (wrap(line, space, break_long_words=False, break_on_hyphens=False) for line in lines)
        lines = [part for parts in cut for part in parts or [""]]
    names = [name] + [""] * len(lines)
    return "\n".join(
        f"{head:<{width}} {line}".rstrip() for head, line in zip(names, lines, strict=False)
    )


def print_pair(name: str, text: str, width: int = NAMES) -> None:
    """Print a name and its text on stdout, wrapped where that is a terminal."""
    sys.stdout.write(in_columns(name, text, columns_of(sys.stdout), width) + "\n")


def print_sentences(text: str) -> None:
    """Print ``text`` on stdout, wrapped where that is a terminal."""
    sys.stdout.write("\n".join(wrap(text, columns_of(sys.stdout) or len(text))) + "\n")


def print_pairs(pairs: Mapping[str, str]) -> None:
    """Print names and their texts on stdout, in two columns."""
    width = max(NAMES, *map(len, pairs))
    for name, value in pairs.items():
        print_pair(name, value, width)
