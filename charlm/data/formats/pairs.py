"""Minimal pairs: two sentences that differ in little, of which one is good and one is bad.

Lines of ``good<TAB>bad``, a CSV, or the JSON Lines of BLiMP (Warstadt et al. 2020,
arXiv:1912.00582).
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from charlm.data.formats.listing import Listing
from charlm.data.sources.tables import check_unicode

__all__ = ["Pair", "PairList"]

HINT = "write good<TAB>bad, or good<TAB>bad<TAB>context"
KEYS = {"good": "sentence_good", "bad": "sentence_bad", "context": "context",
        "uid": "UID", "field": "field"}  # fmt: skip
"""What a pair holds, and what BLiMP calls it; a header may use either name."""

POSITIONS = ("good", "bad", "context")
"""What the columns hold where there is no header."""


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
    """Files of pairs, one pair a row.

    Rows are objects where a line begins with ``{``; else they have columns, separated by commas if
    the name of the file ends in .csv, and by tabs otherwise.  A first row that names the columns
    good and bad (or sentence_good and sentence_bad) is a header; others that it names are ignored.
    """

    listings: Sequence[Listing]

    def __iter__(self) -> Iterator[Pair]:
        """The pairs, as often as wanted.  Raises ``CorpusError`` with the line."""
        for listing in self.listings:
            empty = True
            for pair in read_pairs(listing):
                empty = False
                yield pair
            if empty:
                raise listing.empty("pairs")


def read_pairs(listing: Listing) -> Iterator[Pair]:
    """The pairs of a file.  Raises ``CorpusError``."""
    names: Sequence[str] | None = None
    for number, cells in rows_of(listing):
        if isinstance(cells, str):
            yield checked(listing, number, from_json(listing, number, cells))
        elif names is None and (names := header(cells)):
            continue
        else:
            names = names or POSITIONS
            yield checked(listing, number, from_cells(listing, number, cells, names))


def rows_of(listing: Listing) -> Iterator[tuple[int, list[str] | str]]:
    """The number and the cells, or the JSON, of every row that is not blank."""
    if listing.separator == ",":
        yield from listing.rows()
        return
    for number, line in enumerate(listing.lines(), 1):
        if line.strip():
            row = line.rstrip("\r\n")
            yield number, row if row.startswith("{") else row.split("\t")


def header(cells: Sequence[str]) -> list[str] | None:
    """What the columns hold, if a row is a header; an empty name for columns that are ignored."""
    known = {name: name for name in KEYS} | {key.lower(): name for name, key in KEYS.items()}
    names = [known.get(cell.strip().lower(), "") for cell in cells]
    return names if {"good", "bad"} <= set(names) else None


def from_cells(
    listing: Listing, number: int, cells: Sequence[str], names: Sequence[str]
) -> dict[str, str]:
    """What the cells of a row hold of a pair.  Raises ``CorpusError``."""
    least, most = (2, 3) if names is POSITIONS else (len(names), len(names))
    if not least <= len(cells) <= most:
        columns = f"{len(cells)} column{'s' * (len(cells) != 1)}"
        expected = "a pair has 2" if names is POSITIONS else f"the header has {len(names)}"
        raise listing.wrong(number, f"has {columns}, {expected}", HINT)
    return {name: cell for name, cell in zip(names, cells, strict=False) if name}


def checked(listing: Listing, number: int, cells: dict[str, str]) -> Pair:
    """The pair of a row.  Raises ``CorpusError`` if it lacks a sentence."""
    for name in ("good", "bad"):
        if not cells.get(name, "").strip():
            raise listing.wrong(number, f"has no {name} sentence", HINT)
    return Pair(**cells)


def from_json(listing: Listing, number: int, line: str) -> dict[str, str]:
    """What an object holds of a pair.  Raises ``CorpusError``."""
    hint = 'write {"sentence_good": "...", "sentence_bad": "..."}'
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
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
