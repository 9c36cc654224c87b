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
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer

__all__ = ["Gaps", "Symbols", "join", "pack_extras", "split", "stored", "unpack_extras"]

NOT_UTF_8 = re.compile("([\udc80-\udcff]+)")
"""How ``surrogateescape`` writes bytes that are not UTF-8."""

LINE_OR_WORD = re.compile(r"\n|\S+")
WORD = re.compile(r"\S+")

PLAIN, XZ = b"\0", b"\1"
"""The first byte of extras: how the rest is packed."""

FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 22}]

KINDS = 9
"""Kinds of gap: a word, a line break or the edge of the text before it, and one of them after."""


@dataclass(frozen=True)
class Gaps:
    """The white space before, between and after the tokens of a word tokenizer.

    ``usual`` holds the most frequent gap of each kind; ``unusual`` the others, by their index from
    0 to N.  Where there are other tokenizers, all are empty.
    """

    usual: tuple[bytes, ...] = (b"",) * KINDS
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
    return symbols if join(tokenizer, symbols) == content else stored(content)


def stored(content: bytes) -> Symbols:
    """One escape for all of the content."""
    return Symbols(np.zeros(1, dtype=np.int64), (content,))


def join(tokenizer: Tokenizer, symbols: Symbols) -> bytes:
    """The bytes that symbols stand for.

    Raises ``ValueError`` for symbols that stand for nothing: gaps or raw bytes too few or too many.
    """
    table, raw, ids = tokenizer.table, iter(symbols.raw), symbols.ids.tolist()
    if len(symbols.raw) != escapes_among(tokenizer, symbols.ids):
        raise ValueError("there are not as many escapes as raw bytes for them")
    escapes = (tokenizer.boundary_id, tokenizer.unknown_id)
    pieces = [(next(raw) or table[id]) if id in escapes else table[id] for id in ids]
    if symbols.gaps == Gaps():
        return b"".join(pieces)
    gaps = [symbols.gaps.usual[kind] for kind in gap_kinds(tokenizer, ids)]
    for place, gap in symbols.gaps.unusual.items():
        gaps[place] = gap
    return b"".join(part for pair in zip(gaps, [*pieces, b""], strict=True) for part in pair)


def escapes_among(tokenizer: Tokenizer, ids: np.ndarray) -> int:
    """How many of the ids (N,) stand for raw bytes: unknown symbols and boundaries."""
    unknown = tokenizer.boundary_id if tokenizer.unknown_id is None else tokenizer.unknown_id
    return int(np.isin(ids, (tokenizer.boundary_id, unknown)).sum())


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
    found = find_gaps(gap_kinds(tokenizer, ids), gaps)
    return Symbols(np.array(ids, dtype=np.int64), tuple(raw), found)


def gap_kinds(tokenizer: Tokenizer, ids: Sequence[int]) -> list[int]:
    """The kinds, 0 to ``KINDS`` - 1, of the N + 1 gaps around N tokens."""
    line = tokenizer.line_id if isinstance(tokenizer, WordTokenizer) else None
    sides = [0, *(2 if id == line else 1 for id in ids), 0]
    return [3 * left + right for left, right in pairwise(sides)]


def find_gaps(kinds: Sequence[int], gaps: Sequence[bytes]) -> Gaps:
    """The most frequent gap of each kind, and where there is another one."""
    seen = [Counter[bytes]() for _ in range(KINDS)]
    for kind, gap in zip(kinds, gaps, strict=True):
        seen[kind][gap] += 1
    usual = tuple(max(counts, key=lambda gap: (counts[gap], gap), default=b"") for counts in seen)
    found = enumerate(zip(kinds, gaps, strict=True))
    return Gaps(usual, {place: gap for place, (kind, gap) in found if gap != usual[kind]})


def to_bytes(text: str) -> bytes:
    """Text with ``surrogateescape`` as the bytes it was."""
    return text.encode("utf-8", errors="surrogateescape")


def pack_extras(symbols: Symbols) -> bytes:
    """All of ``symbols`` but the ids, as small as xz makes it; nothing if the ids say it all."""
    gaps, raw = symbols.gaps, symbols.raw
    if not raw and gaps == Gaps():
        return b""
    places = list(gaps.unusual)
    steps = " ".join(str(place - before) for before, place in pairwise([0, *places]))
    *parts, last = [*gaps.usual, *gaps.unusual.values(), *raw]
    # Separators, which the last part may hold, pack better than the lengths of the parts.
    plain = b"\0".join([steps.encode(), *map(without_separators, parts), last])
    small = lzma.compress(plain, lzma.FORMAT_RAW, filters=FILTERS)
    return XZ + small if len(small) < len(plain) else PLAIN + plain


def unpack_extras(tokenizer: Tokenizer, packed: bytes, ids: np.ndarray, most: int) -> Symbols:
    """The symbols that ``pack_extras`` packed, with their ids.

    At most ``most`` bytes are unpacked, so that crafted extras cannot fill the memory.  Raises
    ``ValueError`` or ``lzma.LZMAError``.
    """
    if not packed:
        return Symbols(ids)
    plain = packed[1:]
    if packed[:1] == XZ:
        plain = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=FILTERS).decompress(plain, most)
    steps, _, rest = plain.partition(b"\0")
    places = list(accumulate(map(int, steps.split())))
    first_raw = KINDS + len(places)
    expected = first_raw + escapes_among(tokenizer, ids)
    *parts, last = rest.split(b"\0", expected - 1)
    if len(parts) + 1 != expected:
        raise ValueError("there are fewer raw bytes and gaps than there should be")
    found = (*map(with_separators, parts), last)
    unusual = dict(zip(places, found[KINDS:first_raw], strict=True))
    return Symbols(ids, found[first_raw:], Gaps(found[:KINDS], unusual))


def without_separators(part: bytes) -> bytes:
    """Bytes without a zero, which ``with_separators`` turns back."""
    return part.replace(b"\1", b"\1\3").replace(b"\0", b"\1\2")


def with_separators(part: bytes) -> bytes:
    """The bytes that ``without_separators`` was given."""
    return part.replace(b"\1\2", b"\0").replace(b"\1\3", b"\1")
