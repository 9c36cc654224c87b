"""Files that hold one thing a line, read so that whatever is wrong can be said with its line."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charlm.data.sources.corpora import spooled_input
from charlm.data.sources.pieces import TextFile, standard_encoding
from charlm.errors import CorpusError

__all__ = ["Listing"]

LONGEST = 1 << 24
"""Characters of a line; far above any sentence, far below the memory."""


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

    def wrong(self, line: int, what: str, hint: str) -> CorpusError:
        """The error for a line."""
        return CorpusError(f"{self.name}: line {line:,} {what}", hint)

    def empty(self, what: str) -> CorpusError:
        """The error for a file without content."""
        return CorpusError(f"{self.name} holds no {what}", f"give a file with {what}")
