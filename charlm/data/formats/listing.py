"""Files with an entry or a table row on each line; whatever is wrong is said with its line."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charlm.data.sources.corpora import spooled_input
from charlm.data.sources.pieces import TextFile, standard_encoding
from charlm.errors import CorpusError

__all__ = ["Listing"]

LONGEST = 1 << 24
"""Most characters of a line: far above any sentence, far below the memory."""

LARGEST_CELL = (1 << 31) - 1
"""Most characters of a cell: a context may be as long as a book."""


@dataclass(frozen=True)
class Listing:
    """A file of lines, packed by gzip or not, or ``-`` for standard input."""

    source: str
    encoding: str = "utf-8"

    @property
    def name(self) -> str:
        """What messages call it."""
        return "standard input" if self.source == "-" else self.source

    def lines(self) -> Iterator[str]:
        """The lines with their ends, as often as wanted.  Raises ``CorpusError``."""
        path = spooled_input() if self.source == "-" else Path(self.source)
        begun, number = "", 0
        for piece in TextFile(path, self.name).pieces(standard_encoding(self.encoding)):
            assert isinstance(piece.text, str)
            text = piece.text.removeprefix("\ufeff") if piece.starts else piece.text
            *whole, rest = text.split("\n")
            for line in whole:
                yield begun + line + "\n"
                begun, number = "", number + 1
            begun += rest
            if len(begun) > LONGEST:
                raise self.wrong(
                    number + 1, f"is longer than {LONGEST:,} characters", "cut it, or mend the file"
                )
        if begun:
            yield begun

    @property
    def separator(self) -> str:
        """What stands between cells: a comma if the name ends in .csv, else a tab."""
        name = self.source.lower().removesuffix(".gz")
        return "," if name.endswith(".csv") else "\t"

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The cells of each row that is not blank, with the line that the row ends in.

        Cells may be quoted, and then hold line breaks.  Raises ``CorpusError``.
        """
        csv.field_size_limit(LARGEST_CELL)
        reader = csv.reader(self.lines(), delimiter=self.separator, strict=True)
        try:
            for row in filter(None, reader):
                yield reader.line_num, row
        except csv.Error as error:
            raise self.wrong(
                reader.line_num, f"is no row: {error}", "quote cells that hold quotes or separators"
            ) from None

    def wrong(self, line: int, what: str, hint: str) -> CorpusError:
        """The error for a line."""
        return CorpusError(f"{self.name}: line {line:,} {what}", hint)

    def empty(self, what: str) -> CorpusError:
        """The error for a file without content."""
        return CorpusError(f"{self.name} holds no {what}", f"give a file with {what}")
