"""Bytes as tokens and what tokens cannot say, for every tokenizer and every file.

Text goes through tokens.  What has no token of its own is an escape: the token is then the unknown
symbol where there is one, as in a score, and otherwise the boundary, which stands for no text; the
bytes are kept beside the tokens.  A word tokenizer also drops the white space between words; for
each kind of gap the most frequent one goes without saying, and others are kept beside the tokens.
"""

import lzma
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer

__all__ = ["Symbols", "join", "pack_extras", "split", "stored", "unpack_extras"]

NOT_UTF_8 = re.compile("([\udc80-\udcff]+)")
"""How ``surrogateescape`` writes bytes that are not UTF-8."""

LINE_OR_WORD = re.compile(r"\n|\S+")
WORD = re.compile(r"\S+")

PLAIN, XZ = b"\0", b"\1"
"""The first byte of extras: how the rest is packed."""

KINDS = 9
"""Kinds of gap: a word, a line break or the edge of the text before it, and one of them after."""

NONE = b"\1"

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 22}]


@dataclass(frozen=True)
class Symbols:
    """A file as ids (N,) and what they cannot say.

    ``raw`` has the bytes of each unknown symbol and each boundary among the ids, in order; none
    where the id stands for what the tokenizer's table says.  ``gaps`` is for word tokenizers: the
    most frequent white space of each of the ``KINDS`` of gap, then the N + 1 gaps before, between
    and after the tokens, each empty where it is the most frequent one, and ``NONE`` where there is
    no white space although there usually is.
    """

    ids: np.ndarray
    raw: tuple[bytes, ...] = ()
    gaps: tuple[bytes, ...] = ()


def split(tokenizer: Tokenizer, content: bytes) -> Symbols:
    """Any bytes as symbols; ``join`` gives them back."""
    if tokenizer.kind == "byte":
        return Symbols(tokenizer.encode(content).astype(np.int64))
    text = content.decode("utf-8", errors="surrogateescape")
    if isinstance(tokenizer, WordTokenizer):
        symbols = split_words(tokenizer, text)
    else:
        symbols = split_text(tokenizer, text)
    return symbols if join(tokenizer, symbols) == content else stored(content)


def stored(content: bytes) -> Symbols:
    """One escape for all of the content."""
    return Symbols(np.zeros(1, dtype=np.int64), (content,))


def join(tokenizer: Tokenizer, symbols: Symbols) -> bytes:
    """The bytes that symbols stand for.

    Raises ``ValueError`` for symbols that stand for nothing: gaps or raw bytes too few or too many.
    """
    table, raw, ids = tokenizer.table, iter(symbols.raw), symbols.ids.tolist()
    escapes = {tokenizer.boundary_id, tokenizer.unknown_id}
    if sum(id in escapes for id in ids) != len(symbols.raw):
        raise ValueError("there are not as many escapes as raw bytes for them")
    pieces = [(next(raw) or table[id]) if id in escapes else table[id] for id in ids]
    if not symbols.gaps:
        return b"".join(pieces)
    usual, marked = symbols.gaps[:KINDS], symbols.gaps[KINDS:]
    kinds = gap_kinds(tokenizer, ids)
    gaps = [mark or usual[kind] for mark, kind in zip(marked, kinds, strict=True)]
    # A token may hold NONE, a gap holds white space alone.
    shown = (b"" if gap == NONE else gap for gap in gaps)
    return b"".join(part for pair in zip(shown, [*pieces, b""], strict=True) for part in pair)


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
    marked = mark_gaps(gap_kinds(tokenizer, ids), gaps)
    return Symbols(np.array(ids, dtype=np.int64), tuple(raw), marked)


def gap_kinds(tokenizer: Tokenizer, ids: Sequence[int]) -> list[int]:
    """The kinds, 0 to ``KINDS`` - 1, of the N + 1 gaps around N tokens."""
    line = tokenizer.line_id if isinstance(tokenizer, WordTokenizer) else None
    sides = [0, *(2 if id == line else 1 for id in ids), 0]
    return [3 * left + right for left, right in pairwise(sides)]


def mark_gaps(kinds: Sequence[int], gaps: Sequence[bytes]) -> tuple[bytes, ...]:
    """Gaps and their kinds as the ``gaps`` of ``Symbols``."""
    seen = [Counter[bytes]() for _ in range(KINDS)]
    for kind, gap in zip(kinds, gaps, strict=True):
        seen[kind][gap] += 1
    usual = [max(counts, key=lambda gap: (counts[gap], gap), default=b"") for counts in seen]
    pairs = zip(kinds, gaps, strict=True)
    return (*usual, *(b"" if gap == usual[kind] else gap or NONE for kind, gap in pairs))


def to_bytes(text: str) -> bytes:
    """Text with ``surrogateescape`` as the bytes it was."""
    return text.encode("utf-8", errors="surrogateescape")


def pack_extras(symbols: Symbols) -> bytes:
    """All of ``symbols`` but the ids, as small as xz makes it; nothing if the ids say it all."""
    if not symbols.raw and not symbols.gaps:
        return b""
    sizes = " ".join(str(len(each)) for each in symbols.raw).encode()
    # White space holds no zero bytes, so they can separate the gaps.
    plain = sizes + b"\0" + b"".join(symbols.raw) + b"\0".join(symbols.gaps)
    small = lzma.compress(plain, lzma.FORMAT_RAW, filters=FILTERS)
    return XZ + small if len(small) < len(plain) else PLAIN + plain


def unpack_extras(packed: bytes, ids: np.ndarray, most: int) -> Symbols:
    """The symbols that ``pack_extras`` packed, with their ids.

    At most ``most`` bytes are unpacked, so that crafted extras cannot fill the memory.  Raises
    ``ValueError`` or ``lzma.LZMAError``.
    """
    if not packed:
        return Symbols(ids)
    plain = packed[1:]
    if packed[:1] == XZ:
        plain = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=FILTERS).decompress(plain, most)
    sizes, _, rest = plain.partition(b"\0")
    ends = [0, *accumulate(map(int, sizes.split()))]
    if ends[-1] > len(rest):
        raise ValueError("there are fewer bytes than there should be")
    raw = tuple(rest[begin:end] for begin, end in pairwise(ends))
    gaps = rest[ends[-1] :]
    return Symbols(ids, raw, tuple(gaps.split(b"\0")) if gaps else ())
