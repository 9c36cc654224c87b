"""Which of two models predicts a text better, by how much, and how sure that is."""

import codecs
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from charlm.data.preparation.counting import Counts, TextCounter
from charlm.data.preparation.encoding import EncodedPiece, encode_documents
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.pieces import Piece, cut
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError, ModelError
from charlm.inference.comparison.units import Paired, Place, count_more, pair_lines, pair_tokens
from charlm.inference.loading import Loaded, load_part, open_for
from charlm.inference.scoring.intervals import BlockSums, Estimate, estimate_ratio
from charlm.metrics import Score

__all__ = ["Comparison", "Pairing", "compare", "pair_part", "pair_sources"]

BLOCK = {"token": 256, "line": 1024}
"""Size of a block of the bootstrap: in tokens, or in bytes of whole lines."""

AT_ONCE = 1 << 16  # tokens read between two records


@dataclass(frozen=True)
class Pairing:
    """A text on its way through two models: the unit, what is read, and of how many bytes."""

    unit: str
    parts: Iterator[Paired]
    names: tuple[str, ...]
    size: int | None


@dataclass(frozen=True)
class Comparison:
    """The scores of both, and A - B in nats per byte: negative where A predicts better.

    ``better`` counts the units that A, and that B, gave more probability.  ``known`` is the
    difference over the units that hold no unknown token for either; ``with_unknown`` do.
    """

    unit: str
    scores: tuple[Score, Score]
    difference: Estimate
    units: int
    better: tuple[int, int]
    with_unknown: int
    known: Estimate
    blocks: int
    block: int
    places: tuple[Place, ...]


def pair_sources(
    a: Loaded,
    b: Loaded,
    sources: tuple[str, ...],
    most: int,
    reading: Mapping[str, str] | None = None,
) -> Pairing:
    """Let both models read ``sources``; the records name ``most`` places each way.

    Raises ``CorpusError``, ``TokenizerError``, and ``ConfigError`` for an encoding of bytes.
    ``reading`` holds data settings other than those of training.
    """
    if same_tokenizer(a, b):
        corpus = open_for(a, sources, reading)
        stretches = stretches_of(encode_documents(a.tokenizer, corpus))
        return Pairing("token", pair_tokens(a, b, stretches, most), corpus.names, corpus.size)
    # Bytes and something else meet as text.
    corpus = open_for(b if a.tokenizer.kind == "byte" else a, sources, reading)
    return Pairing("line", pair_lines(a, b, corpus.pieces(), most), corpus.names, corpus.size)


def pair_part(a: Loaded, b: Loaded, part: str, most: int) -> Pairing:
    """Let both models read a part of the text that both runs were made from.

    Raises ``CorpusError`` if it is not the same text, or none of the tokenizers can give it back.
    """
    stores = (load_part(a, part), load_part(b, part))
    counts = stores[0].counts
    names = (f"the {part} part",)
    if same_tokenizer(a, b) and np.array_equal(stores[0].tokens, stores[1].tokens):
        parts = pair_tokens(a, b, stretches_of_store(stores[0]), most)
        return Pairing("token", parts, names, counts.bytes)
    texts = [replace(store.counts, tokens=0) for store in stores]
    if same_tokenizer(a, b) or texts[0] != texts[1]:
        raise CorpusError(
            f"the {part} parts of {a.run.folder} and {b.run.folder} are different texts",
            "name the text to compare them on",
        )
    for loaded, store in zip((a, b), stores, strict=True):
        if keeps_text(loaded.tokenizer, store):
            pieces = pieces_of_store(loaded.tokenizer, store)
            return Pairing("line", pair_lines(a, b, pieces, most), names, counts.bytes)
    raise CorpusError(
        f"neither tokenizer gives the text of the {part} part back as it was",
        "name the text to compare them on",
    )


def same_tokenizer(a: Loaded, b: Loaded) -> bool:
    """Whether both models read the same tokens."""
    return a.tokenizer.digest() == b.tokenizer.digest()


def keeps_text(tokenizer: Tokenizer, store: TokenStore) -> bool:
    """Whether the tokens of ``store`` decode to their text."""
    if tokenizer.unknown_id is None:
        return True
    return tokenizer.kind == "char" and not np.any(store.tokens == tokenizer.unknown_id)


def pieces_of_store(tokenizer: Tokenizer, store: TokenStore) -> Iterator[Piece]:
    """The text of a store, in pieces that end with a line where they can."""
    ends = np.flatnonzero(store.tokens == tokenizer.boundary_id)
    for begin, end in pairwise(ends.tolist()):
        blocks = (
            tokenizer.decode_bytes(store.tokens[at : min(at + AT_ONCE, end)])
            for at in range(begin + 1, end, AT_ONCE)
        )
        starts = True
        for text in cut(codecs.iterdecode(blocks, "utf-8", "replace"), "\n"):
            yield Piece(text, starts)
            starts = False


def stretches_of(pieces: Iterable[EncodedPiece]) -> Iterator[tuple[np.ndarray, Counts]]:
    """The stream that documents make, in stretches, with the counts of their text."""
    counter = TextCounter()
    for piece in pieces:
        counts = count_more(counter, Piece(piece.text, piece.starts))
        if piece.starts and counter.counts.documents > 1:
            yield np.zeros(1, dtype=piece.ids.dtype), Counts()
        for begin in range(0, len(piece.ids), AT_ONCE):
            yield piece.ids[begin : begin + AT_ONCE], Counts() if begin else counts


def stretches_of_store(store: TokenStore) -> Iterator[tuple[np.ndarray, Counts]]:
    """The same of a store; its counts come with the first stretch."""
    for begin in range(1, len(store.tokens), AT_ONCE):
        yield store.tokens[begin : begin + AT_ONCE], Counts() if begin > 1 else store.counts


def compare(parts: Iterable[Paired], unit: str, most: int) -> Comparison:
    """Add up what two models made of a text.

    Raises ``CorpusError`` if there was none, ``ModelError`` where a difference would be infinite.
    """
    scores = (Score(), Score())
    sums = BlockSums(BLOCK[unit], columns=4)
    units, better, unknown = 0, np.zeros(2, dtype=np.int64), 0
    places: tuple[Place, ...] = ()
    for part in parts:
        require_finite(part, unit, units)
        difference, known = part.nll[0] - part.nll[1], ~part.unknown
        columns = [difference, part.sizes, difference * known, part.sizes * known]
        sums.add(part.lengths, np.stack(columns, axis=1))
        scores = (scores[0] + part.scores[0], scores[1] + part.scores[1])
        units += len(difference)
        better += [np.count_nonzero(difference < 0), np.count_nonzero(difference > 0)]
        unknown += int(part.unknown.sum())
        places = keep(places + part.places, most)
    if not units:
        raise CorpusError("there is no text to compare the models on", "name a file that has some")
    blocks, size = sums.blocks(ratio=0, weight=1)
    of_known = blocks[blocks[:, 3] > 0]
    scale = float(blocks[:, 1].sum()) / scores[0].bytes
    return Comparison(
        unit=unit,
        scores=scores,
        difference=estimate_ratio(blocks[:, 0], blocks[:, 1]).scaled(scale),
        units=units,
        better=(int(better[0]), int(better[1])),
        with_unknown=unknown,
        known=estimate_ratio(of_known[:, 2], of_known[:, 3]).scaled(scale),
        blocks=len(blocks),
        block=size,
        places=places,
    )


def require_finite(part: Paired, unit: str, before: int) -> None:
    """Raise ``ModelError`` if a model gives no probability to a unit, ``before`` having passed."""
    impossible = np.argwhere(~np.isfinite(part.nll))
    if len(impossible):
        side, at = impossible[0].tolist()
        raise ModelError(
            f"{unit} {before + at + 1:,} of the text has probability zero for {'AB'[side]}",
            "use a model that knows every symbol, or take it out of the text",
        )


def keep(places: Iterable[Place], most: int) -> tuple[Place, ...]:
    """The ``most`` places where A is better, best first, then those where B is."""
    ordered = sorted(places, key=lambda place: (-abs(place.difference), place.index))
    for_a = [place for place in ordered if place.difference < 0][:most]
    return (*for_a, *[place for place in ordered if place.difference > 0][:most])
