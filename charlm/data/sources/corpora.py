"""A corpus: the documents of its sources in order, read as often as wanted.

Plain text is read as bytes and decoded strictly: no line break is translated and nothing is
normalised.  A corpus is never held in memory.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from charlm.config import DataConfig
from charlm.data.sources.files import find_origins, shown
from charlm.data.sources.pieces import Piece, TextFile, decoded_pieces, standard_encoding
from charlm.errors import CorpusError

__all__ = ["BlankText", "Corpus", "DocumentHash", "open_corpus"]


class BlankText(CorpusError):
    """A text that is empty or holds nothing but white space."""


class Origin(Protocol):
    """What a corpus is made of: a file, a table or an embedded corpus."""

    @property
    def name(self) -> str:
        """The name of the file, table or corpus in messages."""

    @property
    def size(self) -> int | None:
        """Bytes of text, where known without reading."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know, as far as it has been read."""

    def contents(self) -> Iterator[Iterable[bytes]]:
        """The bytes of each document, in blocks; UTF-8 but for text files."""


@dataclass(frozen=True)
class Corpus:
    """Text that can be read again and again, piece by piece.

    ``encoding`` is that of plain text files, None where bytes are read.  ``empty`` names what was
    found to be empty when it was read.
    """

    origins: tuple[Origin, ...]
    encoding: str | None
    remarks: tuple[str, ...] = ()
    empty: dict[str, None] = field(default_factory=dict, compare=False)

    @property
    def names(self) -> tuple[str, ...]:
        """What the sources turned out to be, for messages: files, tables, corpora, in order."""
        return tuple(origin.name for origin in self.origins)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: what was left out and what was guessed.

        Complete after the whole corpus has been read once.
        """
        verb = "is" if len(self.empty) == 1 else "are"
        empty = (f"left out: {shown(list(self.empty))} {verb} empty",) if self.empty else ()
        return (*self.remarks, *chain.from_iterable(each.notes for each in self.origins), *empty)

    @property
    def size(self) -> int | None:
        """Bytes of text, for progress; None if it is not known before all is read."""
        sizes = [origin.size for origin in self.origins]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def pieces(self, hashing: "DocumentHash | None" = None) -> Iterator[Piece]:
        """All text in order; ``hashing`` gets the bytes that it was decoded from.

        A piece is at most a megabyte and ends, where it can, at the end of a line.  Raises
        ``CorpusError`` if the text cannot be read or is only white space.
        """
        return (piece for _, piece in self.numbered(hashing))

    def numbered(self, hashing: "DocumentHash | None" = None) -> Iterator[tuple[int, Piece]]:
        """The pieces, each with the number, from 0, of the file or table that it is from."""
        blank, last = True, -1
        for number, origin in enumerate(self.origins):
            name, encoding, offset = origin.name, self.encoding and "utf-8", 0
            if isinstance(origin, TextFile):
                encoding, offset = self.encoding, origin.mark
            for blocks in origin.contents():
                document = hashing.passing(blocks) if hashing else blocks
                for piece in decoded_pieces(document, encoding, name, offset):
                    blank = blank and piece.text.isspace()
                    last = number
                    yield number, piece
            if last < number:
                self.empty[name] = None
        if blank:
            single = len(self.names) == 1
            is_empty, is_blank = ("is", "holds") if single else ("are", "hold")
            what = f"{is_blank} nothing but white space" if last >= 0 else f"{is_empty} empty"
            raise BlankText(f"{shown(self.names)} {what}", "give a text with words in it")

    def digest(self) -> str:
        """SHA-256 of the documents in order, in hexadecimal; names do not count.

        A single document in UTF-8 or read raw has the hash that ``sha256sum`` prints for it (of
        UTF-8 text, without its byte order mark).
        """
        hashed = DocumentHash()
        for origin in self.origins:
            for blocks in origin.contents():
                for _ in hashed.passing(blocks):
                    pass
        return hashed.hexdigest(self.encoding)


class DocumentHash:
    """SHA-256 over documents that pass by, each of them hashed by itself first."""

    def __init__(self) -> None:
        self.whole = hashlib.sha256(b"charlm documents\0")
        self.last = hashlib.sha256()
        self.count = 0

    def passing(self, blocks: Iterable[bytes]) -> Iterable[bytes]:
        """The blocks of a document, which counts when its last block has passed."""
        if isinstance(blocks, list):
            self.finish(hashlib.sha256(b"".join(blocks)))
            return blocks
        return self.hashed(blocks)

    def hashed(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """``blocks``, hashed one after the other as they are taken."""
        document = hashlib.sha256()
        for block in blocks:
            document.update(block)
            yield block
        self.finish(document)

    def finish(self, document: "hashlib._Hash") -> None:
        """Count a document whose bytes have all been hashed."""
        self.last = document
        self.whole.update(document.digest())
        self.count += 1

    def hexdigest(self, encoding: str | None) -> str:
        """The hash of the documents so far, whose bytes are text in ``encoding``."""
        if encoding not in (None, "utf-8"):
            # Equal bytes are another text in another encoding.
            whole = self.whole.copy()
            whole.update(str(encoding).encode())
            return whole.hexdigest()
        return (self.last if self.count == 1 else self.whole).hexdigest()


def open_corpus(sources: Sequence[str], data: DataConfig, *, raw: bool = False) -> Corpus:
    """Find what ``sources`` name; ``raw`` is for models of bytes.

    A source is ``-``, a file, folder or glob, a table or dataset (see ``tables``), or a corpus name
    (see ``catalogue``); what exists on the disk wins over a corpus name.  A corpus of several parts
    stands for its training part, ``NAME:test`` for another.  Raises ``CorpusError`` for a source
    that does not exist or holds no text, ``ConfigError`` for an unknown encoding.
    """
    encoding = standard_encoding(data.encoding)
    if not sources:
        raise CorpusError("no text was given", "name files, folders, corpora, or - for input")
    origins: list[Origin] = []
    remarks: list[str] = []
    for source in sources:
        found, left_out = find_origins(source, data, None if raw else encoding)
        origins += found
        remarks += left_out
    return Corpus(tuple(origins), None if raw else encoding, tuple(remarks))
