"""Names and what belongs to them, in two columns, for people."""

import shutil
import sys
from collections.abc import Mapping
from textwrap import wrap

__all__ = ["NAMES", "in_columns", "print_pair", "print_pairs"]

NAMES = 11
"""How wide the column of names is."""


def in_columns(name: str, text: str, room: int | None = None, width: int = NAMES) -> str:
    """A name, and a text that keeps to its column; ``room`` is the width of a terminal.

    Paths and options stay whole, so that they can be copied.
    """
    lines = text.split("\n")
    if room is not None:
        space = max(1, room - width - 1)
        cut = (wrap(line, space, break_long_words=False, break_on_hyphens=False) for line in lines)
        lines = [part for parts in cut for part in parts or [""]]
    names = [name] + [""] * len(lines)
    return "\n".join(
        f"{head:<{width}} {line}".rstrip() for head, line in zip(names, lines, strict=False)
    )


def print_pair(name: str, text: str, width: int = NAMES) -> None:
    """One of them on stdout."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    sys.stdout.write(in_columns(name, text, room, width) + "\n")


def print_pairs(pairs: Mapping[str, str]) -> None:
    """Two columns on stdout."""
    width = max(NAMES, *map(len, pairs))
    for name, value in pairs.items():
        print_pair(name, value, width)
