"""Minimal pairs: two sentences that differ in little, of which one is good and one is bad.

Lines of ``good<TAB>bad``, or the JSON Lines of BLiMP (Warstadt et al. 2020, arXiv:1912.00582).
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
    """Files of pairs, one pair a line; those that begin with ``{`` are JSON Lines."""

    listings: Sequence[Listing]

    def __iter__(self) -> Iterator[Pair]:
        """The pairs, as often as wanted.  Raises ``CorpusError`` with the line."""
        for listing in self.listings:
            empty = True
            for number, line in enumerate(listing.lines(), 1):
                if line.strip():
                    empty = False
                    yield read_pair(listing, number, line.rstrip("\r\n"))
            if empty:
                raise listing.empty("pairs")


def read_pair(listing: Listing, number: int, line: str) -> Pair:
    """The pair of a line.  Raises ``CorpusError``."""
    if line.startswith("{"):
        cells = from_json(listing, number, line)
    else:
        columns = line.split("\t")
        if len(columns) not in (2, 3):
            raise listing.wrong(
                number, f"has {len(columns)} column{'s' * (len(columns) > 1)}, a pair has 2", HINT
            )
        cells = dict(zip(KEYS, columns, strict=False))
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
