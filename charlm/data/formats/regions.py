"""Tables of regions of interest: items whose text is cut into regions, one row for each."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from charlm.config.section import unknown_name
from charlm.data.formats.listing import Listing
from charlm.data.sources.delimited import named_rows
from charlm.errors import ConfigError, CorpusError

__all__ = ["COLUMNS", "Item", "Region", "RegionTable", "column_names"]

COLUMNS = ("item", "region", "text", "context")
"""What the columns hold; the last may be missing."""

Cells = Mapping[str, str]
Row = tuple[int, Cells]
"""The line that a row ends in, and its cells."""


@dataclass(frozen=True)
class Region:
    """A row of the table: what messages call it, its cells, and its text."""

    name: str
    cells: Cells
    text: str


@dataclass(frozen=True)
class Item:
    """The regions of an item in order, and the text that comes before them."""

    regions: tuple[Region, ...]
    context: str = ""


@dataclass(frozen=True)
class RegionTable:
    """A table with a header, separated by commas if its name ends in .csv, and else by tabs.

    ``names`` has the names of the columns of ``COLUMNS``; several of them make an item together.
    """

    listing: Listing
    names: Mapping[str, Sequence[str]]

    def __iter__(self) -> Iterator[Item]:
        """The items, each of rows that follow one another, as often as wanted.

        Raises ``CorpusError``, with the line where there is one.
        """
        known: set[tuple[str, ...]] = set()
        for key, rows in groupby(self.rows(), self.key):
            item = list(rows)
            if key in known:
                raise self.listing.wrong(
                    item[0][0],
                    f"goes on with item {', '.join(key)}",
                    "keep the rows of an item together",
                )
            known.add(key)
            yield self.item(key, item)
        if not known:
            raise self.listing.empty("regions")

    def key(self, row: Row) -> tuple[str, ...]:
        """What tells a row's item from the others."""
        return tuple(row[1][name] for name in self.names["item"])

    def item(self, key: tuple[str, ...], rows: list[Row]) -> Item:
        """The item of some rows.  Raises ``CorpusError``."""
        (label,), (text,), (context,) = (self.names[each] for each in COLUMNS[1:])
        contexts: dict[str, Row] = {}
        regions: dict[str, Region] = {}
        for row in rows:
            line, cells = row
            name = f"{self.listing.name}: line {line:,}: region {cells[label]!r} of item "
            name += ", ".join(key)
            if not cells[text].strip():
                raise CorpusError(f"{name} is empty", "give it text, or leave its row out")
            if cells[label] in regions:
                raise CorpusError(
                    f"{name} comes twice",
                    "name all columns that tell items apart: `column='item=item,condition'`",
                )
            regions[cells[label]] = Region(name, cells, cells[text])
            if cells.get(context):
                contexts.setdefault(cells[context], row)
        if len(contexts) > 1:
            other = list(contexts.values())[1]
            raise self.listing.wrong(
                other[0], f"has another context than item {', '.join(key)} had before",
                "give one context per item, or leave it out in the other rows",
            )  # fmt: skip
        return Item(tuple(regions.values()), next(iter(contexts), ""))

    def rows(self) -> Iterator[Row]:
        """The rows below the header.  Raises ``CorpusError``."""
        usual = "," if self.listing.is_csv else "\t"
        _, header, rows = named_rows(
            self.listing.lines, self.listing.name, column=self.names["text"][0], usual=usual
        )
        self.check(header)
        yield from rows

    def check(self, header: list[str]) -> None:
        """Raise ``CorpusError`` for a header with a column missing or there twice."""
        if not header:
            raise self.listing.empty("regions")
        if len(set(header)) < len(header):
            ((twice, _),) = Counter(header).most_common(1)
            raise CorpusError(
                f"{self.listing.name} has the column {twice!r} twice", "rename one of them"
            )
        for what in COLUMNS:
            optional = self.names[what] == ("context",)
            missing = [name for name in self.names[what] if name not in header]
            if missing and not optional:
                raise CorpusError(
                    f"{self.listing.name} has no column {missing[0]!r}; its columns are: "
                    f"{', '.join(header)}",
                    f"name the one with the {what}: `column='{what}=NAME'`",
                )


def column_names(given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """``item=NAME,NAME``, ``region=NAME``, ... over the names that columns usually have.

    Raises ``ConfigError``.
    """
    names: dict[str, tuple[str, ...]] = {name: (name,) for name in COLUMNS}
    for each in given:
        what, separator, name = each.partition("=")
        if what not in COLUMNS:
            raise unknown_name(f"column {what}", what, COLUMNS)
        if not separator or not name:
            raise ConfigError(
                f"`column` takes 'WHAT=HEADER', got {each!r}", f"write `column='{what}=HEADER'`"
            )
        names[what] = tuple(name.split(",")) if what == "item" else (name,)
    return names
