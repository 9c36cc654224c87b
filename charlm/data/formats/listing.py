"""Files of one entry a line, whose errors name the line."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from charlm.data.sources.lines import read_lines
from charlm.data.sources.pieces import TextFile, printable, standard_encoding
from charlm.data.sources.spool import lasting_file
from charlm.errors import CorpusError

__all__ = ["Listing"]


@dataclass(frozen=True)
class Listing:
    """A file of lines, packed by gzip or not, or ``-`` for standard input."""

    source: str
    encoding: str = "utf-8"

    @property
    def name(self) -> str:
        """The name of the file in messages."""
        return "standard input" if self.source == "-" else printable(self.source)

    @property
    def is_csv(self) -> bool:
        """Whether the name says that cells stand between commas."""
        return self.source.lower().removesuffix(".gz").endswith(".csv")

    @cached_property
    def file(self) -> TextFile:
        """The file.  Raises ``CorpusError`` if it is not there, or a device."""
        return TextFile(*lasting_file(self.source))

    def lines(self) -> Iterator[str]:
        """The lines with their ends, as often as wanted.  Raises ``CorpusError``."""
        return read_lines(self.file, standard_encoding(self.encoding))

    def wrong(self, line: int, what: str, hint: str) -> CorpusError:
        """The error for a line."""
        return CorpusError(f"{self.name}: line {line:,} {what}", hint)

    def empty(self, what: str) -> CorpusError:
        """The error for a file without content."""
        return CorpusError(f"{self.name} holds no {what}", f"give a file with {what}")
