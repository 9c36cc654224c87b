"""Text in pieces: bytes read in blocks, decoded exactly, cut where lines end.

Everything here is a stream, so that a text larger than the memory can be read.
"""

import codecs
import contextlib
import gzip
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import AnyStr

from charlm.errors import ConfigError, CorpusError

__all__ = ["Piece", "TextFile", "standard_encoding", "text_pieces"]

BLOCK = 1 << 19
"""Bytes read, or characters taken, at a time; a piece is at most twice as long."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document: ``text`` is never empty, and bytes only in raw reading.

    ``starts`` says that a new document begins here.
    """

    text: str | bytes
    starts: bool


@dataclass(frozen=True)
class TextFile:
    """One plain text file, packed by gzip or not: a single document."""

    path: Path
    name: str

    @property
    def packed(self) -> bool:
        """Whether the file is read through gzip."""
        return self.path.suffix.lower() == ".gz"

    @property
    def size(self) -> int | None:
        """Bytes of text; None where only reading would tell.  Raises ``CorpusError``."""
        if self.packed:
            return None
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise unreadable(self.name, error) from None

    def blocks(self) -> Iterator[bytes]:
        """The bytes of the text, in blocks.  Raises ``CorpusError``."""
        seen = 0
        try:
            with gzip.open(self.path) if self.packed else self.path.open("rb") as file:
                while block := file.read(BLOCK):
                    seen += len(block)
                    yield block
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise CorpusError(
                f"{self.name} is damaged: after {seen:,} bytes of text, {reason(error)}",
                "get the file again, or unpack what can be saved and give that",
            ) from None
        except OSError as error:
            raise unreadable(self.name, error) from None

    def pieces(self, encoding: str | None) -> Iterator[Piece]:
        """The text as pieces; as bytes where ``encoding`` is None.  Raises ``CorpusError``."""
        starts = True
        if encoding is None:
            parts: Iterator[str] | Iterator[bytes] = cut(self.blocks(), b"\n")
        else:
            parts = cut(decoded(self.blocks(), encoding, self.name), "\n")
        for part in parts:
            yield Piece(part, starts)
            starts = False

    def contents(self) -> Iterator[Iterator[bytes]]:
        """The bytes of each document, for hashing."""
        yield self.blocks()


def text_pieces(texts: Iterable[str], encoding: str | None) -> Iterator[Piece]:
    """Each of ``texts`` as a document of its own; in UTF-8 bytes where ``encoding`` is None."""
    for text in texts:
        starts = True
        parts: Iterator[str] | Iterator[bytes] = cut(slices(text), "\n")
        if encoding is None:
            parts = cut(slices(text.encode("utf-8")), b"\n")
        for part in parts:
            yield Piece(part, starts)
            starts = False


def slices(text: AnyStr) -> Iterator[AnyStr]:
    """``text`` in blocks."""
    return (text[at : at + BLOCK] for at in range(0, len(text), BLOCK))


def cut(blocks: Iterable[AnyStr], newline: AnyStr) -> Iterator[AnyStr]:
    """Join ``blocks`` and cut after the last line break in each, or else its last white space.

    A block with neither is cut at its end, and the last block not at all.  Nothing is lost, and
    nothing that is yielded is empty.
    """
    rest = held = newline[:0]
    for block in blocks:
        at = last_break(held, newline)
        if part := rest + held[:at]:
            yield part
        rest, held = held[at:], block
    if rest or held:
        yield rest + held


def last_break(block: AnyStr, newline: AnyStr) -> int:
    """Where to cut ``block``: after its last line break, after its last white space, at its end."""
    if at := block.rfind(newline) + 1:
        return at
    words = block.rsplit(None, 1)
    # A block that ends in white space loses it to rsplit, and is cut there.
    if not words or not block.endswith(words[-1]):
        return len(block)
    return (len(block) - len(words[-1])) or len(block)


def standard_encoding(name: str) -> str:
    """The one standard name of a text encoding.  Raises ``ConfigError`` if there is none."""
    with contextlib.suppress(LookupError, ValueError, TypeError):
        # Encodings from bytes to bytes, such as hex, are no text encodings.
        if isinstance(codecs.getincrementaldecoder(name)("strict").decode(b"", False), str):
            return codecs.lookup(name).name
    raise ConfigError(
        f"data.encoding must be the name of a text encoding, got {name!r}",
        "for example --encoding utf-8, latin-1, cp1252, utf-16 or gb18030",
    )


def decoded(blocks: Iterable[bytes], encoding: str, name: str) -> Iterator[str]:
    """Decode ``blocks`` strictly, across their borders.

    Raises ``CorpusError`` with the offset of the first byte that is not text.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    read, head = 0, b""
    for block in with_end(blocks):
        head = head or block[:4]
        read += len(block)
        try:
            if text := decoder.decode(block, final=not block):
                yield text
        except UnicodeDecodeError as error:
            # What the decoder saw began with bytes held back earlier, and ended with the block.
            at = read - len(error.object) + error.start
            raise not_text(name, encoding, error, at, head) from None
        except UnicodeError as error:
            raise CorpusError(
                f"{name} is not {encoding} text: {reason(error)}",
                "name its encoding with --encoding, or read its bytes with --tokenizer byte",
            ) from None


def with_end(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """``blocks``, then one empty block that marks the end."""
    yield from blocks
    yield b""


def not_text(
    name: str, encoding: str, error: UnicodeDecodeError, at: int, head: bytes
) -> CorpusError:
    """The error for bytes that are not text, with the way out that fits them."""
    byte = error.object[error.start]
    cause = f"{name} is not {encoding} text: byte 0x{byte:02x} at offset {at:,} ({error.reason})"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return CorpusError(cause, "it begins like UTF-16: try --encoding utf-16")
    if b"\0" in head or b"\0" in error.object:
        return CorpusError(
            f"{name} looks like a binary file: {cause.partition(': ')[2]}",
            "give a text file, or read any file byte by byte with --tokenizer byte",
        )
    return CorpusError(
        cause, "read it as bytes with --tokenizer byte, or say --encoding latin-1 (or what it is)"
    )


def unreadable(name: str, error: OSError) -> CorpusError:
    """The error for a file or folder that the system does not let us read."""
    hints = {
        FileNotFoundError: "check the path",
        PermissionError: "check its permissions",
        IsADirectoryError: "give a file",
    }
    hint = hints.get(type(error), "check the disk, then try again")
    return CorpusError(f"{name} cannot be read: {reason(error)}", hint)


def reason(error: Exception) -> str:
    """What an exception of the system says, in one line without a path."""
    code = getattr(error, "errno", None)
    text = os.strerror(code) if isinstance(code, int) else str(error) or type(error).__name__
    return text.splitlines()[0][:200]
