"""Tables: aligned ones for people; TSV and CSV that standard readers read back, and JSON Lines."""

import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from charlm.console.figures import print_pairs
from charlm.console.streams import print_json

__all__ = ["FORMATS", "print_aligned", "print_record", "print_rows", "shown"]

FORMATS = ("table", "tsv", "csv", "jsonl")
"""An aligned table for people, and three formats for programs."""

SEPARATORS = {"tsv": "\t", "csv": ","}


def print_aligned(rows: Iterable[Sequence[str]], left: Collection[int] = ()) -> None:
    """Print rows of cells, the titles first: numbers end below one another, and the columns whose
    numbers are in ``left`` begin there.
    """
    every = list(rows)
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    for row in every:
        cells = (
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def print_record(record: Mapping[str, Any], pairs: Mapping[str, str], *, as_json: bool) -> None:
    """Print a record as one JSON object, or what people want to know of it in two columns."""
    if as_json:
        print_json(record)
    else:
        print_pairs(pairs)


def print_rows(rows: Iterable[Mapping[str, Any]], format: str) -> None:
    """One row a line under a header, or one JSON object a line (jsonl).

    The header is printed with the first row: if scoring fails before, nothing is printed.  A cell
    that holds the separator, a quote or a line break is put in quotes, those in it doubled: that
    is how spreadsheets, Python's csv and pandas write and read them (RFC 4180).
    """
    if format == "jsonl":
        for row in rows:
            print_json(row, flush=False)
        return
    separator = SEPARATORS[format]
    unsafe = re.compile(f'[{separator}"\r\n]').search

    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"' if unsafe(text) else text

    for number, row in enumerate(rows):
        if not number:
            sys.stdout.write(separator.join(map(quoted, row)) + "\n")
        cells = [quoted(cell) if isinstance(cell, str) else shown(cell) for cell in row.values()]
        sys.stdout.write(separator.join(cells) + "\n")


def shown(value: Any) -> str:
    """A value as a cell; a number has six decimals, and what is missing is an empty cell."""
    if isinstance(value, float):
        return f"{value:.6f}"
    return "" if value is None else str(value)
