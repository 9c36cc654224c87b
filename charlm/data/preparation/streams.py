"""Where the state starts anew: a text cut into streams, each read from the boundary on.

A stream is a whole text, a file, a document or a line.  A long stream comes in several parts, so
that memory does not grow with it.  A line ends with its line break ("\\n"), which belongs to it.
"""

import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.preparation.store import TokenStore
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError

__all__ = ["RESETS", "Reset", "StreamPart", "TextPosition", "cut_store", "cut_text", "newline_ids"]

Reset = Literal["never", "file", "document", "line"]
RESETS: tuple[Reset, ...] = ("never", "file", "document", "line")

STORED_AT_ONCE = 1 << 19
"""Tokens of a store that are searched for ends of streams at a time."""


@dataclass(frozen=True)
class TextPosition:
    """The number of a file (from 0), of a document in it and of a line in that (both from 1)."""

    file: int
    document: int
    line: int


@dataclass(frozen=True)
class StreamPart:
    """Ids (N,) that come next in a stream.

    ``begins`` and ``ends`` say whether the part is the first and the last of its stream; the
    boundary after the last part is not among the ids.  The ids stand for about ``size`` bytes of
    text, which begins at ``position``; None where the text is not kept.
    """

    ids: np.ndarray
    begins: bool
    ends: bool
    size: float
    position: TextPosition | None = None


def cut_text(
    tokenizer: Tokenizer, pieces: Iterable[EncodedPiece], reset: Reset, *, line_breaks: bool = True
) -> Iterator[StreamPart]:
    """Cut a text into streams.

    Two documents within a stream have a boundary between them.  Without ``line_breaks`` the line
    breaks are left out where each line is a stream.
    """
    begins, position = True, TextPosition(0, 0, 1)
    newlines = newline_ids(tokenizer) if reset == "line" else []
    for piece, following in itertools.pairwise(itertools.chain(pieces, [None])):
        assert piece is not None
        if piece.starts:
            before = position.document if piece.file == position.file else 0
            position = TextPosition(piece.file, before + 1, 1)
        ends = following is None or starts_anew(piece, following, reset)
        if reset == "line":
            lines = lines_of(tokenizer, piece, newlines, line_breaks=line_breaks)
            yield from line_parts(piece, lines, (begins, ends), position)
        else:
            within = piece.starts and not begins
            boundary = np.zeros(int(within), dtype=tokenizer.dtype)
            ids = np.concatenate([boundary, piece.ids])
            yield StreamPart(ids, begins, ends, len(content_of(piece.text)), position)
        begins = ends or (reset == "line" and ends_line(piece.text))
        line = position.line + count_breaks(piece.text)
        position = TextPosition(position.file, position.document, line)


def starts_anew(piece: EncodedPiece, following: EncodedPiece, reset: Reset) -> bool:
    """Whether a stream ends between two pieces."""
    if reset == "file":
        return following.file != piece.file
    return reset in ("document", "line") and following.starts


def line_parts(
    piece: EncodedPiece, lines: Sequence[np.ndarray], edges: tuple[bool, bool], first: TextPosition
) -> Iterator[StreamPart]:
    """The lines of a piece; ``edges`` say whether it begins and ends a line in any case."""
    ends = ends_line(piece.text) or edges[1]
    size = len(content_of(piece.text)) / len(lines)
    for number, ids in enumerate(lines):
        position = TextPosition(first.file, first.document, first.line + number)
        last = number == len(lines) - 1
        yield StreamPart(ids, number > 0 or edges[0], ends or not last, size, position)


def lines_of(
    tokenizer: Tokenizer, piece: EncodedPiece, newlines: Sequence[int], *, line_breaks: bool
) -> list[np.ndarray]:
    """The ids (n,) of each line of a piece, with or without its line break."""
    ends = np.flatnonzero(np.isin(piece.ids, newlines)) + 1
    if len(ends) != count_breaks(piece.text):  # the tokens do not keep them all
        lines = io.BytesIO(content_of(piece.text)).readlines()
        return [tokenizer.encode(line if line_breaks else line.rstrip(b"\n")) for line in lines]
    dropped = 0 if line_breaks else 1
    begins = [0, *ends.tolist()]
    found = [piece.ids[begin : end - dropped] for begin, end in itertools.pairwise(begins)]
    return found if ends_line(piece.text) else [*found, piece.ids[begins[-1] :]]


def cut_store(
    tokenizer: Tokenizer, store: TokenStore, reset: Reset, *, line_breaks: bool = True
) -> Iterator[StreamPart]:
    """Cut a part of a run, whose tokens are kept but not its text, into streams.

    Raises ``CorpusError`` where the tokens do not say where a stream ends.
    """
    stops = stop_ids(tokenizer, reset)
    tokens = store.tokens[1:] if len(stops) else store.tokens[1:-1]
    size = store.counts.bytes / max(len(tokens), 1)
    begins = True
    for at in range(0, len(tokens), STORED_AT_ONCE):
        chunk = np.asarray(tokens[at : at + STORED_AT_ONCE])
        final = not len(stops) and at + len(chunk) == len(tokens)
        for ids in np.split(chunk, np.flatnonzero(np.isin(chunk, stops)) + 1):
            ends = bool(len(ids)) and bool(np.isin(ids[-1], stops))
            if not len(ids) or (reset == "line" and begins and ids[0] == 0):
                continue  # a document that ended with its last line
            drop = ends and (ids[-1] == 0 or not line_breaks)
            yield StreamPart(ids[:-1] if drop else ids, begins, ends or final, size * len(ids))
            begins = ends


def stop_ids(tokenizer: Tokenizer, reset: Reset) -> list[int]:
    """The ids after which a stream of a store ends: boundaries, line breaks, or none.

    Raises ``CorpusError`` where the tokens do not say where a file or a line ends.
    """
    if reset == "never":
        return []
    if reset == "file":
        raise CorpusError(
            "the parts of a run do not keep where a file ends",
            "give `reset='document'`, or name the files themselves",
        )
    if reset == "document":
        return [0]
    newlines = newline_ids(tokenizer)
    if not newlines:
        raise CorpusError(
            f"the tokens of this run ({tokenizer.kind}) do not keep where a line ends",
            "name the text itself instead of a part of the run",
        )
    return [0, *newlines]


def newline_ids(tokenizer: Tokenizer) -> list[int]:
    """The tokens that hold a line break; none for a tokenizer that does not keep them."""
    return [id for id, content in enumerate(tokenizer.table) if b"\n" in content]


def content_of(text: str | bytes) -> bytes:
    """A text in UTF-8; raw bytes as they are."""
    return text if isinstance(text, bytes) else text.encode()


def count_breaks(text: str | bytes) -> int:
    """Line breaks in a text."""
    return content_of(text).count(b"\n")


def ends_line(text: str | bytes) -> bool:
    """Whether a text ends with a line break."""
    return text[-1:] in ("\n", b"\n")
