"""Where the state starts anew: a text as streams, each read from the boundary on.

A stream is a whole text, a file, a document or a line.  What is long comes in several segments,
so that memory does not grow with it.  A line ends with its line break ("\\n"), which belongs to it.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import AnyStr, Literal, TypeVar

import numpy as np

from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.preparation.store import TokenStore
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError

__all__ = ["RESETS", "Place", "Reset", "Segment", "store_segments", "text_segments"]

Reset = Literal["never", "file", "document", "line"]
RESETS: tuple[Reset, ...] = ("never", "file", "document", "line")

STORED_AT_ONCE = 1 << 19  # tokens of a store looked at together

Item = TypeVar("Item")


@dataclass(frozen=True)
class Place:
    """Where something begins: numbers of the file (from 0), the document and the line (from 1)."""

    file: int
    document: int
    line: int


@dataclass(frozen=True)
class Segment:
    """Ids (N,) that come next in a stream, perhaps its first or its last.

    They stand for about ``size`` bytes of text; ``place`` is None where nobody knows.
    """

    ids: np.ndarray
    begins: bool
    ends: bool
    size: float
    place: Place | None = None


def text_segments(
    tokenizer: Tokenizer, pieces: Iterable[EncodedPiece], reset: Reset, *, breaks: bool = True
) -> Iterator[Segment]:
    """Cut a text into streams; without ``breaks`` the line breaks between lines are left out.

    Documents within a stream have a boundary between them.
    """
    begins, place = True, Place(0, 0, 1)
    newlines = newline_ids(tokenizer) if reset == "line" else []
    for piece, following in with_next(pieces):
        if piece.starts:
            before = place.document if piece.file == place.file else 0
            place = Place(piece.file, before + 1, 1)
        ends = following is None or starts_anew(piece, following, reset)
        if reset == "line":
            lines = lines_of(tokenizer, piece, newlines, breaks=breaks)
            yield from line_segments(piece, lines, (begins, ends), place)
        else:
            within = piece.starts and not begins
            boundary = np.zeros(int(within), dtype=tokenizer.dtype)
            ids = np.concatenate([boundary, piece.ids])
            yield Segment(ids, begins, ends, size_of(piece.text), place)
        begins = ends or (reset == "line" and ends_line(piece.text))
        place = Place(place.file, place.document, place.line + count_breaks(piece.text))


def starts_anew(piece: EncodedPiece, following: EncodedPiece, reset: Reset) -> bool:
    """Whether a stream ends between two pieces."""
    if reset == "file":
        return following.file != piece.file
    return reset in ("document", "line") and following.starts


def line_segments(
    piece: EncodedPiece, lines: Sequence[np.ndarray], edges: tuple[bool, bool], place: Place
) -> Iterator[Segment]:
    """The lines of a piece; ``edges`` say whether it begins and ends a line in any case."""
    ends = ends_line(piece.text) or edges[1]
    size = size_of(piece.text) / len(lines)
    for number, ids in enumerate(lines):
        here = Place(place.file, place.document, place.line + number)
        last = number == len(lines) - 1
        yield Segment(ids, number > 0 or edges[0], ends or not last, size, here)


def lines_of(
    tokenizer: Tokenizer, piece: EncodedPiece, newlines: Sequence[int], *, breaks: bool
) -> list[np.ndarray]:
    """The ids (n,) of each line of a piece, with or without its line break."""
    ends = np.flatnonzero(np.isin(piece.ids, newlines)) + 1
    if len(ends) != count_breaks(piece.text):  # the tokens do not keep them all
        if isinstance(piece.text, bytes):
            return [tokenizer.encode(line) for line in cut_lines(piece.text, b"\n", breaks=breaks)]
        return [tokenizer.encode(line) for line in cut_lines(piece.text, "\n", breaks=breaks)]
    dropped = 0 if breaks else 1
    begins = [0, *ends.tolist()]
    lines = [piece.ids[begin : end - dropped] for begin, end in itertools.pairwise(begins)]
    return lines if ends_line(piece.text) else [*lines, piece.ids[begins[-1] :]]


def cut_lines(text: AnyStr, newline: AnyStr, *, breaks: bool) -> list[AnyStr]:
    """The lines of a text that is not empty, with or without their line breaks."""
    parts = text.split(newline)
    ended = [part + newline if breaks else part for part in parts[:-1]]
    return ended + parts[-1:] if parts[-1] else ended


def store_segments(
    tokenizer: Tokenizer, store: TokenStore, reset: Reset, *, breaks: bool = True
) -> Iterator[Segment]:
    """The same of a part of a run, whose tokens are kept but not its text.

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
            drop = ends and (ids[-1] == 0 or not breaks)
            yield Segment(ids[:-1] if drop else ids, begins, ends or final, size * len(ids))
            begins = ends


def stop_ids(tokenizer: Tokenizer, reset: Reset) -> list[int]:
    """The ids after which a stream ends: of boundaries and of line breaks, as far as asked for."""
    if reset == "never":
        return []
    if reset == "file":
        raise CorpusError(
            "the parts of a run do not keep where a file ends",
            "use --reset document, or name the files themselves",
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
    """The tokens that are line breaks; none for a tokenizer that does not keep them."""
    return [id for id in range(tokenizer.vocab_size) if b"\n" in tokenizer.token_bytes(id)]


def with_next(items: Iterable[Item]) -> Iterator[tuple[Item, Item | None]]:
    """Each item with the one after it; None after the last."""
    iterator = iter(items)
    item = next(iterator, None)
    while item is not None:
        following = next(iterator, None)
        yield item, following
        item = following


def size_of(text: str | bytes) -> int:
    """Bytes of a text in UTF-8."""
    return len(text if isinstance(text, bytes) else text.encode())


def count_breaks(text: str | bytes) -> int:
    """Line breaks in a text."""
    return text.count("\n") if isinstance(text, str) else text.count(b"\n")


def ends_line(text: str | bytes) -> bool:
    """Whether a text ends with a line break."""
    return text.endswith("\n") if isinstance(text, str) else text.endswith(b"\n")
