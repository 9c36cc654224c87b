"""Minimal pairs: two sentences that differ in little, of which one is good and one is bad.

Lines of ``good<TAB>bad`` or ``good<TAB>bad<TAB>context``, a CSV, or the JSON Lines of BLiMP
(Warstadt et al. 2020, arXiv:1912.00582).  A first line of column names is recognised.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from charlm.data.formats.listing import Listing
from charlm.data.sources.delimited import read_records
from charlm.data.sources.tables import check_unicode
from charlm.errors import CharlmWarning, counted
from charlm.untrusted import parse_json

__all__ = ["Pair", "PairList"]

HINT = "write good<TAB>bad, or good<TAB>bad<TAB>context"
KEYS = {"good": "sentence_good", "bad": "sentence_bad", "context": "context",
        "uid": "UID", "field": "field"}  # fmt: skip
COLUMNS: tuple[str, ...] = ("good", "bad", "context")


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two sentences, the text that comes before either, and what they are an example of."""

    good: str
    bad: str
    context: str = ""
    uid: str = ""
    field: str = ""


@dataclass(frozen=True)
class PairList:
    """Files of pairs, one pair a row; lines that begin with ``{`` are JSON."""

    listings: Sequence[Listing]

    def __iter__(self) -> Iterator[Pair]:
        """The pairs, as often as wanted; warns of a file without any.

        Raises ``CorpusError`` with the line, and where no file holds a pair.
        """
        without = []
        for listing in self.listings:
            names, empty = COLUMNS, True
            for number, row in rows_of(listing):
                if empty and isinstance(row, list) and (found := header_names(row)):
                    names = found
                    continue
                empty = False
                yield read_pair(listing, number, row, names)
            if empty:
                without.append(listing)
        if len(without) == len(self.listings):
            raise without[0].empty("pairs")
        for listing in without:
            warnings.warn(f"left out: {listing.name} holds no pairs", CharlmWarning, stacklevel=1)


def rows_of(listing: Listing) -> Iterator[tuple[int, str | list[str]]]:
    """The lines that are not blank with their numbers, cut into cells if they are not JSON."""
    if listing.is_csv:
        yield from read_records(listing.lines(), listing.name, ",")
        return
    for number, line in enumerate(listing.lines(), 1):
        if line.strip():
            row = line.rstrip("\r\n")
            yield number, row if row.startswith("{") else row.split("\t")


def header_names(cells: list[str]) -> tuple[str, ...] | None:
    """The fields of a pair that a first row names; None if it is a pair itself."""
    fields = {name: name for name in KEYS} | {key.lower(): name for name, key in KEYS.items()}
    names = tuple(fields.get(cell.strip().lower(), "") for cell in cells)
    return names if {"good", "bad"} <= set(names) else None


def read_pair(listing: Listing, number: int, row: str | list[str], names: tuple[str, ...]) -> Pair:
    """The pair of a line of JSON, or of cells under ``names``.  Raises ``CorpusError``."""
    if isinstance(row, str):
        cells = from_json(listing, number, row)
    else:
        # Without a header the context may be missing; with one, every row has all cells.
        least = 2 if names is COLUMNS else len(names)
        if not least <= len(row) <= len(names):
            raise listing.wrong(
                number, f"has {counted(len(row), 'column')}, a pair has {least}", HINT
            )
        cells = {name: cell for name, cell in zip(names, row, strict=False) if name}
    for name in ("good", "bad"):
        if not cells.get(name, "").strip():
            raise listing.wrong(number, f"has no {name} sentence", HINT)
    return Pair(**cells)


def from_json(listing: Listing, number: int, line: str) -> dict[str, str]:
    """What an object holds of a pair.  Raises ``CorpusError``."""
    hint = 'write {"sentence_good": "...", "sentence_bad": "..."}'
    try:
        found = parse_json(line)
    except ValueError as error:
        raise listing.wrong(number, f"is no JSON: {error}", hint) from None
    cells = {name: found[key] for name, key in KEYS.items() if key in found}
    for name, value in cells.items():
        if not isinstance(value, str):
            raise listing.wrong(number, f"has a {KEYS[name]} that is no text: {value!r}", hint)
        check_unicode(value, f"{listing.name}: line {number:,}")
    for name in ("good", "bad"):
        if name not in cells:
            raise listing.wrong(number, f"has no {KEYS[name]}", hint)
    return cells
