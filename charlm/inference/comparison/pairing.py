"""Two models set on one text: what they read in step, from which source."""

import codecs
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from charlm.data.preparation.counting import Counts, TextCounter
from charlm.data.preparation.encoding import EncodedPiece, encode_documents
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.pieces import Piece, cut
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError, CorpusError
from charlm.inference.adaptation.overlap import refuse_overlap
from charlm.inference.comparison.units import PairedUnits, pair_lines, pair_tokens
from charlm.inference.loading import Loaded, load_part
from charlm.inference.texts import open_corpus_for, take_corpus

__all__ = ["Pairing", "pair_part", "pair_texts"]

AT_ONCE = 1 << 16
"""Tokens that are read between two records."""


@dataclass(frozen=True)
class Pairing:
    """A text that two models read: the unit they are compared by, what they found, unit by unit,
    the names of its files and its bytes, None if unknown; ``counts`` of the text once it is read.
    """

    unit: str
    parts: Iterator[PairedUnits]
    names: tuple[str, ...]
    size: int | None
    counts: Callable[[], Counts]


def pair_texts(
    a: Loaded,
    b: Loaded,
    text: str | Path | Sequence[str | Path] | None,
    most: int,
    *,
    by_name: bool = False,
    **data: Any,
) -> Pairing:
    """Let both models read a text; the records hold ``most`` examples for either model.

    A str is a text and a Path names a file; ``by_name``: a sequence of names of files, folders and
    corpora.  ``data`` are settings of reading other than those of training.  Raises
    ``CorpusError``, also for a text that a model was tuned on, ``TokenizerError``, and
    ``ConfigError`` for no text, for a run in its place and for an encoding of bytes.
    """
    if not text:
        raise ConfigError(
            "give either a text to compare on or a `part` of the text that both runs were made "
            "from",
            "`part='test'`",
        )
    same = same_tokenizer(a, b)
    # Where a model of bytes meets another one, both read text.
    reader = b if a.tokenizer.kind == "byte" and not same else a
    if by_name:
        corpus = open_corpus_for(reader, [str(name) for name in text], **data)  # type: ignore[union-attr]
    else:
        corpus = take_corpus(reader, text, **data)
    for loaded in (a, b):
        refuse_overlap(loaded, loaded.tuned_on, corpus)
    counter = TextCounter()
    if same:
        chunks = chunks_of(encode_documents(a.tokenizer, corpus), counter)
        unit, parts = "token", pair_tokens(a, b, chunks, most)
    else:
        unit, parts = "line", pair_lines(a, b, counted_by(counter, corpus.pieces()), most)
    return Pairing(unit, parts, corpus.names, corpus.size, lambda: counter.counts)


def pair_part(a: Loaded, b: Loaded, part: str, most: int) -> Pairing:
    """Let both models read a part of the text that both runs were made from.

    Raises ``CorpusError`` if their texts differ, if a model was tuned on the part, or if none of
    the tokenizers can give it back.
    """
    stores = (load_part(a, part), load_part(b, part))
    for loaded, store in zip((a, b), stores, strict=True):
        refuse_overlap(loaded, loaded.tuned_on, store)
    counts = stores[0].counts
    names = (f"the {part} part",)
    if same_tokenizer(a, b) and np.array_equal(stores[0].tokens, stores[1].tokens):
        tokens = stores[0].tokens[1:]
        chunks = (tokens[at : at + AT_ONCE] for at in range(0, len(tokens), AT_ONCE))
        parts = pair_tokens(a, b, chunks, most)
        return Pairing("token", parts, names, counts.bytes, lambda: counts)
    texts = [replace(store.counts, tokens=0) for store in stores]
    if same_tokenizer(a, b) or texts[0] != texts[1]:
        raise CorpusError(
            f"the {part} parts of {a.run.folder} and {b.run.folder} are different texts",
            "name the text to compare them on",
        )
    for loaded, store in zip((a, b), stores, strict=True):
        if keeps_text(loaded.tokenizer, store):
            pieces = pieces_of_store(loaded.tokenizer, store)
            parts = pair_lines(a, b, pieces, most)
            return Pairing("line", parts, names, counts.bytes, lambda: counts)
    raise CorpusError(
        f"neither tokenizer gives the text of the {part} part back as it was",
        "name the text to compare them on",
    )


def same_tokenizer(a: Loaded, b: Loaded) -> bool:
    """Whether both models have one tokenizer."""
    return a.tokenizer.digest() == b.tokenizer.digest()


def keeps_text(tokenizer: Tokenizer, store: TokenStore) -> bool:
    """Whether the tokens of a store decode to the very text they were made from."""
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


def counted_by(counter: TextCounter, pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Count pieces as they pass."""
    for piece in pieces:
        counter.add(piece)
        yield piece


def chunks_of(pieces: Iterable[EncodedPiece], counter: TextCounter) -> Iterator[np.ndarray]:
    """The ids (N,) of documents, with boundaries between them, whose text is counted."""
    for number, piece in enumerate(pieces):
        counter.add(Piece(piece.text, piece.starts))
        if piece.starts and number:
            yield np.zeros(1, dtype=piece.ids.dtype)
        for begin in range(0, len(piece.ids), AT_ONCE):
            yield piece.ids[begin : begin + AT_ONCE]
