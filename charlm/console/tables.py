"""Rows of a table as data: TSV and CSV that standard readers read back, or JSON Lines."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from charlm.console.streams import print_json

__all__ = ["FORMATS", "print_rows", "shown"]

FORMATS = ("table", "tsv", "csv", "jsonl")
"""An aligned table for people, and three formats for programs."""

SEPARATORS = {"tsv": "\t", "csv": ","}


def print_rows(rows: Iterable[Mapping[str, Any]], format: str) -> None:
    """One row a line under a header, or one JSON object a line (jsonl).

    The header is printed with the first row: if scoring fails before, nothing is printed.
    """
    for number, row in enumerate(rows):
        if format == "jsonl":
            print_json(row, flush=False)
            continue
        separator = SEPARATORS[format]
        if not number:
            sys.stdout.write(separator.join(quoted(name, separator) for name in row) + "\n")
        cells = (quoted(shown(value), separator) for value in row.values())
        sys.stdout.write(separator.join(cells) + "\n")


def quoted(cell: str, separator: str) -> str:
    """A cell in quotes, those in it doubled, where the separator, a quote or a line break needs it.

    That is how spreadsheets, Python's csv and pandas write and read them (RFC 4180).
    """
    if any(sign in cell for sign in (separator, '"', "\n", "\r")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def shown(value: Any) -> str:
    """A value as a cell; a number has six decimals, and what is missing is an empty cell."""
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value)
