"""Names and texts in two columns."""

import shutil
import sys
from collections.abc import Mapping
from textwrap import wrap

__all__ = ["NAMES", "in_columns", "print_pair", "print_pairs"]

NAMES = 11
"""Columns that the names take at least."""


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
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    sys.stdout.write(in_columns(name, text, columns, width) + "\n")


def print_pairs(pairs: Mapping[str, str]) -> None:
    """Print names and their texts on stdout, in two columns."""
    width = max(NAMES, *map(len, pairs))
    for name, value in pairs.items():
        print_pair(name, value, width)
