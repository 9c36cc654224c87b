"""Where text comes from: files, folders, globs, gzip, standard input, tables, known corpora.

Plain text is read as bytes and decoded strictly: no line break is translated, no mark removed,
nothing normalised.  A corpus can be read any number of times, and is never held in memory.
"""

import atexit
import contextlib
import glob
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from charlm.config import DataConfig
from charlm.data.cache import cache_folder
from charlm.data.catalogue import index as catalogue
from charlm.data.catalogue.card import Card
from charlm.data.sources import tables
from charlm.data.sources.embedded import Embedded
from charlm.data.sources.pieces import Piece, TextFile, reason, standard_encoding, unreadable
from charlm.errors import CorpusError

__all__ = ["Corpus", "Piece", "cache_folder", "open_corpus"]

HEAD = 1 << 13
"""Bytes at the beginning of a file that tell text from binary."""


class Origin(Protocol):
    """What a corpus is made of: something that yields documents."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size(self) -> int | None:
        """Bytes of text, where known without reading."""

    def pieces(self, encoding: str | None) -> Iterator[Piece]:
        """Its text; as bytes where ``encoding`` is None."""

    def contents(self) -> Iterator[Iterator[bytes]]:
        """The bytes of each document."""


@dataclass(frozen=True)
class Corpus:
    """Text that can be read again and again, piece by piece.

    ``names`` say what was read, for messages.  ``encoding`` is None for raw reading.
    """

    origins: tuple[Origin, ...]
    encoding: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """What the sources turned out to be: files, tables, corpora, in order."""
        return tuple(origin.name for origin in self.origins)

    @property
    def size(self) -> int | None:
        """Bytes of text, for progress; None where only reading would tell."""
        sizes = [origin.size for origin in self.origins]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def pieces(self) -> Iterator[Piece]:
        """All text in order.  Raises ``CorpusError`` if it cannot be read or is only white space.

        A piece is at most a megabyte and ends, where it can, at the end of a line.
        """
        return (piece for _, piece in self.numbered())

    def numbered(self) -> Iterator[tuple[int, Piece]]:
        """The same with the number, from 0, of the file or table that each piece is from."""
        blank, empty = True, True
        for number, origin in enumerate(self.origins):
            for piece in origin.pieces(self.encoding):
                blank, empty = blank and piece.text.isspace(), False
                yield number, piece
        if blank:
            raise CorpusError(
                f"{shown(self.names)} {'is empty' if empty else 'holds nothing but white space'}",
                "give a text with words in it",
            )

    def digest(self) -> str:
        """SHA-256 of the documents in order, in hexadecimal; names do not count.

        A single document in UTF-8 or read raw has the hash that ``sha256sum`` prints for it.
        """
        whole = hashlib.sha256(b"charlm documents\0")
        count = 0
        for origin in self.origins:
            for document in origin.contents():
                one = hashlib.sha256()
                for block in document:
                    one.update(block)
                whole.update(one.digest())
                count += 1
        if self.encoding not in (None, "utf-8"):
            # The same bytes are another text in another encoding.
            whole.update(str(self.encoding).encode())
        elif count == 1:
            whole = one
        return whole.hexdigest()


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
    origins = [origin for source in sources for origin in resolve(source, data, raw)]
    return Corpus(tuple(origins), None if raw else encoding)


def resolve(source: str, data: DataConfig, raw: bool) -> list[Origin]:
    """What one source stands for.  Raises ``CorpusError``."""
    if source == "-":
        return [TextFile(spooled_input(), "standard input")]
    if source.startswith("hf:"):
        return [tables.open_hub(source, data.text_column, data.dataset_split, data.streaming)]
    path = Path(source)
    if exists(path):
        return from_path(path, data, raw)
    if found := catalogue.find(source):
        return [known_corpus(*found, source, data)]
    if glob.has_magic(source):
        return from_glob(source, data)
    raise missing(source)


def exists(path: Path) -> bool:
    """Whether ``path`` exists, or is hidden by a folder that may not be entered."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        raise unreadable(str(path), error) from None
    return True


def from_path(path: Path, data: DataConfig, raw: bool) -> list[Origin]:
    """A folder, a file, or a pipe with a name.  Raises ``CorpusError``."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        if tables.is_saved_dataset(path):
            return [tables.open_saved(str(path), data.text_column, data.dataset_split)]
        return from_folder(path, data, raw)
    if stat.S_ISFIFO(mode):
        with path.open("rb") as pipe:
            return [TextFile(spool(pipe, str(path)), str(path))]
    if not stat.S_ISREG(mode):
        raise CorpusError(f"{path} is neither a file nor a folder", "give a text file")
    return [from_file(path, data)]


def from_file(path: Path, data: DataConfig) -> Origin:
    """A table, by its name, or else plain text.  Raises ``CorpusError`` if it cannot be opened."""
    try:
        path.open("rb").close()
    except OSError as error:
        raise unreadable(str(path), error) from None
    if tables.is_table(path):
        return tables.open_table(path, data.text_column)
    return TextFile(path, str(path))


def from_glob(source: str, data: DataConfig) -> list[Origin]:
    """The files that a pattern names, sorted; ``**`` stands for any folders.

    Raises ``CorpusError`` where there are none.
    """
    paths = sorted(Path(name) for name in glob.glob(source, recursive=True))  # noqa: PTH207
    files = [path for path in paths if path.is_file()]
    if not files:
        found = "only folders" if paths else "no file"
        raise CorpusError(f"{source} matches {found}", "check the pattern, or name a folder itself")
    return [from_file(path, data) for path in files]


def from_folder(folder: Path, data: DataConfig, raw: bool) -> list[Origin]:
    """All text below ``folder``, in the order of the paths, without hidden and binary files.

    Raises ``CorpusError`` where there is none or a folder may not be read.
    """

    def refuse(error: OSError) -> None:
        raise unreadable(str(error.filename or folder), error)

    paths: list[Path] = []
    for below, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += (Path(below, name) for name in names if not name.startswith("."))
    files = [path for path in sorted(paths) if path.is_file()]
    encoding = None if raw else data.encoding
    texts = [path for path in files if tables.is_table(path) or is_text(path, encoding)]
    if not texts:
        held = f"{len(files)} files, none of them text" if files else "no files"
        raise CorpusError(f"the folder {folder} holds {held}", "give a folder with text files")
    return [from_file(path, data) for path in texts]


def is_text(path: Path, encoding: str | None) -> bool:
    """Whether ``path`` is not a binary file, to judge by null characters at its beginning.

    Raises ``CorpusError`` if it cannot be read.
    """
    head = next(TextFile(path, str(path)).blocks(), b"")[:HEAD]
    if encoding is None:
        return b"\0" not in head
    return "\0" not in head.decode(encoding, errors="replace")


def known_corpus(card: Card, part: str | None, source: str, data: DataConfig) -> Origin:
    """A corpus of the catalogue.  Raises ``CorpusError`` where it has not been fetched."""
    if card.kind == "embedded":
        return Embedded(card.name)
    if card.hub:
        address = card.hub.address(part)
        return tables.open_hub(address, data.text_column, data.dataset_split, data.streaming)
    return TextFile(card.path(part), source)


def missing(source: str) -> CorpusError:
    """The error for a source that nothing answers to."""
    near = None if os.sep in source else catalogue.nearest(source)
    return CorpusError(
        f"there is no file, folder or corpus called {source}",
        f"did you mean the corpus {near}?" if near else "check the path, or: charlm corpora list",
    )


def shown(names: Sequence[str]) -> str:
    """Names for a message, the first few of many."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


spooled: list[tuple[object, Path]] = []
"""The standard input that was last read, and where it went: it can be read only once."""


def spooled_input() -> Path:
    """Standard input as a file; the same one however often it is asked for."""
    if not spooled or spooled[-1][0] is not sys.stdin:
        spooled[:] = [(sys.stdin, spool(sys.stdin.buffer, "standard input"))]
    return spooled[-1][1]


def spool(stream: IO[bytes], name: str) -> Path:
    """Copy ``stream`` to a temporary file that is removed at exit.  Raises ``CorpusError``."""
    folder = cache_folder() / "spool"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".txt", delete=False) as file:
            path, owner = Path(file.name), os.getpid()

            @atexit.register
            def remove() -> None:
                # A forked child has inherited this, and must leave the file to its parent.
                if os.getpid() == owner:
                    with contextlib.suppress(OSError):
                        path.unlink()

            while block := stream.read(1 << 20):
                file.write(block)
    except OSError as error:
        raise CorpusError(
            f"{name} cannot be kept under {folder}: {reason(error)}",
            "make room, or set CHARLM_CACHE to another folder",
        ) from None
    return path
