"""Text in pieces: bytes read in blocks, decoded exactly, cut where lines end.

Everything here is a stream, so that a text larger than the memory can be read.
"""

import codecs
import contextlib
import gzip
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import AnyStr

from charlm.errors import ConfigError, CorpusError, counted, way_out

__all__ = [
    "Piece",
    "TextFile",
    "UndecodableText",
    "decoded_pieces",
    "printable",
    "standard_encoding",
]

BLOCK = 1 << 19
"""Bytes read at a time; a piece is at most twice as long."""

LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Halves of surrogate pairs that stand for no byte of a name."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a document: ``text`` is never empty, and bytes only where no encoding is used.

    ``starts`` says that a new document begins here.
    """

    text: str | bytes
    starts: bool


@dataclass(frozen=True)
class TextFile:
    """One plain text file, packed by gzip or not: a single document.

    ``name`` is what messages call it, ``mark`` how many bytes at its beginning are a byte order
    mark and no text.
    """

    path: Path
    name: str
    mark: int = 0

    @property
    def packed(self) -> bool:
        """Whether the file is read through gzip."""
        return self.path.suffix.lower() == ".gz"

    @property
    def size(self) -> int | None:
        """Bytes of text; None if it is not known before all is read.  Raises ``CorpusError``."""
        if self.packed:
            return None
        try:
            return self.path.stat().st_size - self.mark
        except OSError as error:
            raise unreadable(self.name, error) from None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: that a byte order mark was left out."""
        return (f"{self.name} begins with a byte order mark, left out",) if self.mark else ()

    def blocks(self) -> Iterator[bytes]:
        """The bytes of the text, in blocks.  Raises ``CorpusError``."""
        seen = 0
        try:
            with gzip.open(self.path) if self.packed else self.path.open("rb") as file:
                file.seek(self.mark)
                while block := file.read(BLOCK):
                    seen += len(block)
                    yield block
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise CorpusError(
                f"{self.name} is damaged: after {counted(seen, 'byte')} of text, {reason(error)}",
                "get the file again, or unpack what can be saved and give that",
            ) from None
        except OSError as error:
            raise unreadable(self.name, error) from None

    def pieces(self, encoding: str | None) -> Iterator[Piece]:
        """The text as pieces; as bytes where ``encoding`` is None.

        Raises ``CorpusError``, for bytes that are not text with the number of their line.
        """
        try:
            yield from decoded_pieces(self.blocks(), encoding, self.name, self.mark)
        except UndecodableText as error:
            line, left = 1, error.offset - self.mark
            for block in self.blocks():
                line += block[: max(left, 0)].count(b"\n")
                left -= len(block)
            raise UndecodableText(f"{error}, in line {line:,}", error.hint) from None

    def contents(self) -> Iterator[Iterator[bytes]]:
        """The blocks of the only document."""
        yield self.blocks()


def decoded_pieces(
    blocks: Iterable[bytes], encoding: str | None, name: str, offset: int = 0
) -> Iterator[Piece]:
    """The pieces of one document; as bytes where ``encoding`` is None.

    ``name`` and ``offset``, the place in the file where ``blocks`` begin, are for messages.  Raises
    ``CorpusError`` for bytes that are not text.
    """
    if isinstance(blocks, list) and len(blocks) == 1:
        # A row of a table: there may be millions of them, each with next to no text.
        yield Piece(blocks[0] if encoding is None else blocks[0].decode(encoding), True)
        return
    starts = True
    if encoding is None:
        parts: Iterator[str] | Iterator[bytes] = cut(blocks, b"\n")
    else:
        parts = cut(decoded(blocks, encoding, name, offset), "\n")
    for part in parts:
        yield Piece(part, starts)
        starts = False


def blocks_of(text: str) -> list[bytes]:
    """``text`` in blocks of UTF-8."""
    content = text.encode("utf-8")
    return [content[at : at + BLOCK] for at in range(0, len(content), BLOCK)]


def cut(blocks: Iterable[AnyStr], newline: AnyStr) -> Iterator[AnyStr]:
    """Join ``blocks`` and cut after the last line break in each, or else after its last space.

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
        f"`data.encoding` must be the name of a text encoding, got {name!r}",
        "for example utf-8, latin-1, cp1252, utf-16 or gb18030",
    )


def decoded(blocks: Iterable[bytes], encoding: str, name: str, offset: int = 0) -> Iterator[str]:
    """Decode ``blocks`` strictly, across their borders.

    Raises ``CorpusError`` with the offset of the first byte that is not text.
    """
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    read, head = offset, b""
    for block in chain(blocks, (b"",)):  # an empty block marks the end
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
                "give its `encoding`; models of bytes, `tokenizer.kind='byte'`, need none",
            ) from None


class UndecodableText(CorpusError):
    """Bytes that are no text in the encoding; ``offset`` says where in the file they begin."""

    offset = 0


def not_text(
    name: str, encoding: str, error: UnicodeDecodeError, at: int, head: bytes
) -> UndecodableText:
    """The error for bytes that are not text, with the way out that fits them."""
    byte = error.object[error.start]
    what = f"byte 0x{byte:02x} at offset {at:,} ({error.reason})"
    cause = f"{name} is not {encoding} text: {what}"
    hint = (
        "give its encoding, like `encoding='latin-1'`; models of bytes, `tokenizer.kind='byte'`, "
        "need none"
    )
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        hint = "it begins like UTF-16: try `encoding='utf-16'`"
    elif b"\0" in head or b"\0" in error.object:
        cause = f"{name} looks like a binary file: {what}"
        hint = "give a text file; models of bytes, `tokenizer.kind='byte'`, take any file"
    found = UndecodableText(cause, hint)
    found.offset = at
    return found


def unreadable(name: str, error: OSError) -> CorpusError:
    """The error for a file or folder that the system does not let us read."""
    return CorpusError(f"{name} cannot be read: {reason(error)}", way_out(error))


def printable(name: str, longest: int = 200) -> str:
    """``name`` as messages can show it: bytes that are not UTF-8 escaped, one line, not too long.

    A name that is not UTF-8 reaches Python with lone surrogates, which no terminal and no JSON
    takes.
    """
    name = LONE.sub(lambda found: f"\\u{ord(found[0]):04x}", name)
    shown = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    shown = " ".join(shown.splitlines())
    return shown if len(shown) <= longest else f"{shown[: longest // 4]}..."


def reason(error: Exception) -> str:
    """What an exception of the system says, in one line without a path."""
    code = getattr(error, "errno", None)
    text = os.strerror(code) if isinstance(code, int) else str(error) or type(error).__name__
    return text.splitlines()[0][:200]
