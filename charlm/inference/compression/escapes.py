"""Bytes as tokens and what tokens cannot say, for every tokenizer and every file.

Text goes through tokens.  What has no token of its own is an escape: the token is then the unknown
symbol where there is one, as in a score, and otherwise the boundary, which stands for no text; the
bytes are kept beside the tokens.  A word tokenizer also leaves the white space between words aside;
for each kind of gap the most frequent one goes without saying.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer

__all__ = ["Gaps", "Symbols", "join", "split"]

NOT_UTF_8 = re.compile("([\udc80-\udcff]+)")
"""How ``surrogateescape`` writes bytes that are not UTF-8."""

LINE_OR_WORD = re.compile(r"\n|\S+")
WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class Gaps:
    """White space before, between and after words: one more gap than there are words.

    ``usual`` holds the most frequent gap of each kind, in the order of the kinds; ``unusual`` the
    others, by their place.
    """

    usual: tuple[bytes, ...] = ()
    unusual: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Symbols:
    """A file as ids (N,) and what they cannot say.

    ``raw`` has the bytes of each unknown symbol and each boundary among the ids, in order; none
    where the id stands for what the tokenizer's table says.
    """

    ids: np.ndarray
    raw: tuple[bytes, ...] = ()
    gaps: Gaps = Gaps()


def split(tokenizer: Tokenizer, content: bytes) -> Symbols:
    """Any bytes as symbols; ``join`` gives them back."""
    if tokenizer.kind == "byte":
        return Symbols(tokenizer.encode(content).astype(np.int64))
    text = content.decode("utf-8", errors="surrogateescape")
    if isinstance(tokenizer, WordTokenizer):
        symbols = split_words(tokenizer, text)
    else:
        symbols = split_text(tokenizer, text)
    return symbols if join(tokenizer, symbols) == content else whole(content)


def whole(content: bytes) -> Symbols:
    """One escape for all."""
    return Symbols(np.zeros(1, dtype=np.int64), (content,))


def join(tokenizer: Tokenizer, symbols: Symbols) -> bytes:
    """The bytes that symbols stand for.

    Raises ``ValueError`` for symbols that stand for nothing: gaps or raw bytes too few or too many.
    """
    table, escapes, raw = tokenizer.table, escape_ids(tokenizer), iter(symbols.raw)
    ids = symbols.ids.tolist()
    if sum(id in escapes for id in ids) != len(symbols.raw):
        raise ValueError("there are not as many escapes as raw bytes for them")
    pieces = [(next(raw) or table[id]) if id in escapes else table[id] for id in ids]
    if not symbols.gaps.usual:
        return b"".join(pieces)
    kinds = kinds_of(tokenizer, ids)
    gaps = [symbols.gaps.usual[kind] for kind in gap_kinds(kinds)]
    for place, gap in symbols.gaps.unusual.items():
        gaps[place] = gap
    return b"".join(part for pair in zip(gaps, [*pieces, b""], strict=True) for part in pair)


def escape_ids(tokenizer: Tokenizer) -> set[int]:
    """The ids that have raw bytes."""
    unknown = tokenizer.unknown_id
    return {tokenizer.boundary_id} | (set() if unknown is None else {unknown})


def split_text(tokenizer: Tokenizer, text: str) -> Symbols:
    """Characters or pieces of words; neighbours without a token share one escape."""
    ids, raw = [np.zeros(0, dtype=np.int64)], []
    for number, part in enumerate(NOT_UTF_8.split(text)):
        if number % 2:
            ids.append(np.zeros(1, dtype=np.int64))
            raw.append(to_bytes(part))
        elif part:
            some, unknown = without_runs(tokenizer, part)
            ids.append(some)
            raw += unknown
    return Symbols(np.concatenate(ids), tuple(raw))


def without_runs(tokenizer: Tokenizer, text: str) -> tuple[np.ndarray, list[bytes]]:
    """The ids of ``text`` with one unknown symbol for each run of them, and what these stand for.

    An unknown symbol is a character: only characters can be missing from a vocabulary of text.
    """
    ids = tokenizer.encode(text).astype(np.int64)
    if tokenizer.unknown_id is None:
        return ids, []
    unknown = np.concatenate([[False], ids == tokenizer.unknown_id, [False]])
    begins = np.flatnonzero(unknown[1:] > unknown[:-1])
    ends = np.flatnonzero(unknown[1:] < unknown[:-1])
    runs = zip(begins.tolist(), ends.tolist(), strict=True)
    keep = ~(unknown[1:-1] & unknown[:-2])
    return ids[keep], [text[begin:end].encode() for begin, end in runs]


def split_words(tokenizer: WordTokenizer, text: str) -> Symbols:
    """Words, line breaks if they are tokens, and gaps."""
    line_id, known, table = tokenizer.line_id, tokenizer.ids, tokenizer.table
    matches = list((WORD if line_id is None else LINE_OR_WORD).finditer(text))
    ids, raw = [], []
    for match in matches:
        word = match[0]
        piece = to_bytes(word)
        id = line_id if line_id is not None and word == "\n" else known[word]
        if table[id] != piece:  # unknown, or a word that reads like the symbol of a line break
            raw.append(piece)
            id = tokenizer.unknown_id
        elif id == tokenizer.unknown_id:
            raw.append(b"")
        ids.append(id)
    ends = [0, *(match.end() for match in matches)]
    begins = [*(match.start() for match in matches), len(text)]
    gaps = [to_bytes(text[end:begin]) for end, begin in zip(ends, begins, strict=True)]
    return Symbols(
        np.array(ids, dtype=np.int64), tuple(raw), find_gaps(kinds_of(tokenizer, ids), gaps)
    )


def kinds_of(tokenizer: Tokenizer, ids: Sequence[int]) -> list[int]:
    """1 for a word, 2 for a line break, with a 0 for the edge at both ends."""
    line = tokenizer.line_id if isinstance(tokenizer, WordTokenizer) else None
    return [0, *(2 if id == line else 1 for id in ids), 0]


def gap_kinds(kinds: Sequence[int]) -> Iterator[int]:
    """What kind of gap lies between each two neighbours."""
    return (3 * left + right for left, right in pairwise(kinds))


def find_gaps(kinds: Sequence[int], gaps: Sequence[bytes]) -> Gaps:
    """The most frequent gap of each kind, and where there is another one."""
    seen = [Counter[bytes]() for _ in range(9)]
    places = list(gap_kinds(kinds))
    for kind, gap in zip(places, gaps, strict=True):
        seen[kind][gap] += 1
    usual = tuple(max(counts, key=lambda gap: (counts[gap], gap), default=b"") for counts in seen)
    found = enumerate(zip(places, gaps, strict=True))
    return Gaps(usual, {place: gap for place, (kind, gap) in found if gap != usual[kind]})


def to_bytes(text: str) -> bytes:
    """Text with ``surrogateescape`` as the bytes it was."""
    return text.encode("utf-8", errors="surrogateescape")
