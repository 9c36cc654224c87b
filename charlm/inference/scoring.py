"""The likelihood of a text: one stream, state carried, every token predicted from all before it.

The stream is boundary, document, boundary, document, ..., boundary.  The tokens of the documents
make the score; the boundaries after them are read and kept apart, because whether the end of an
excerpt was to be expected says nothing about its text.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from charlm.data.counting import TextCounter
from charlm.data.encoding import EncodedPiece
from charlm.data.pieces import Piece
from charlm.data.store import TokenStore
from charlm.data.tokenizers import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.predictors import Predictor, Reader
from charlm.metrics import Score

__all__ = ["Scored", "score_documents", "score_ids", "score_store", "score_text"]

BLOCK = 256
"""Tokens per block of the standard error; longer than what neighbouring tokens share."""

AT_ONCE = 1 << 14
"""Tokens between two scores that are yielded; a multiple of ``BLOCK``."""


@dataclass(frozen=True)
class Scored:
    """What some more text adds to a score, and the unknown characters or words in it.

    ``read`` is about how many bytes of text it was, for progress.
    """

    score: Score
    unknown: Counter[str] = field(default_factory=Counter)
    read: float = 0.0


def score_ids(nll: np.ndarray, ids: np.ndarray, unknown_id: int | None) -> Score:
    """Sum nll (N,) of ids (N,), boundaries (id 0) apart; nothing is counted on the text."""
    of_text = ids != 0
    text_nll = nll[of_text]
    starts = np.arange(0, len(text_nll), BLOCK)
    sums = np.add.reduceat(text_nll, starts) if len(starts) else np.empty(0)
    sizes = np.diff(np.append(starts, len(text_nll)))
    oov = ids == unknown_id if unknown_id is not None else np.zeros(len(ids), dtype=bool)
    return Score(
        nll=float(text_nll.sum()),
        tokens=len(text_nll),
        oov=int(oov.sum()),
        oov_nll=float(nll[oov].sum()),
        boundaries=int((~of_text).sum()),
        boundary_nll=float(nll[~of_text].sum()),
        blocks=len(starts),
        block_nll_squares=float(sums @ sums),
        block_nll_tokens=float(sums @ sizes),
        block_token_squares=int(sizes @ sizes),
    )


def score_documents(
    model: Predictor, tokenizer: Tokenizer, pieces: Iterable[EncodedPiece]
) -> Iterator[Scored]:
    """Score documents bit by bit; the sum of what is yielded is the score of all.

    Leaves weights, mode and random generators as they are; memory does not grow with the text.
    Raises ``CorpusError`` if there is no text at all.
    """
    reader = model.reader()
    boundary = np.zeros(1, dtype=tokenizer.dtype)
    counter = TextCounter()
    for piece in pieces:
        before = counter.counts
        begun = before.documents > 0
        ids = np.concatenate([boundary, piece.ids]) if piece.starts and begun else piece.ids
        counter.add(Piece(piece.text, piece.starts))
        size = counter.counts.bytes - before.bytes
        if tokenizer.unknown_id in ids and isinstance(piece.text, str):
            yield Scored(Score(), tokenizer.unknown(piece.text))
        yield from score_stream(reader, ids, tokenizer.unknown_id, size)
    counts = counter.counts
    if not counts.documents:
        raise CorpusError("there is no text to score", "name a file that has some")
    end = score_ids(reader.read(boundary), boundary, tokenizer.unknown_id)
    yield Scored(end + Score(chars=counts.chars, bytes=counts.bytes, words=counts.words))


def score_store(model: Predictor, store: TokenStore, unknown_id: int | None) -> Iterator[Scored]:
    """Score the tokens of a store, which knows its text's counts; bit by bit as above."""
    counts = store.counts
    yield Scored(Score(chars=counts.chars, bytes=counts.bytes, words=counts.words))
    yield from score_stream(model.reader(), store.tokens[1:], unknown_id, counts.bytes)


def score_stream(
    reader: Reader, ids: np.ndarray, unknown_id: int | None, size: int
) -> Iterator[Scored]:
    """Score the ids (N,) that come next in a stream, of a text of ``size`` bytes."""
    for begin in range(0, len(ids), AT_ONCE):
        some = ids[begin : begin + AT_ONCE]
        score = score_ids(reader.read(some), some, unknown_id)
        yield Scored(score, read=size * len(some) / len(ids))


def score_text(model: Predictor, tokenizer: Tokenizer, text: str) -> Score:
    """The score of one text."""
    piece = EncodedPiece(ids=tokenizer.encode(text), text=text, starts=True)
    scored = score_documents(model, tokenizer, [piece] if text else [])
    return sum((part.score for part in scored), start=Score())
