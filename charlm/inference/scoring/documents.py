"""The likelihood of a text: every token predicted from all before it in its stream.

Unless asked otherwise a text is one stream with the state carried: boundary, document, boundary,
document, ..., boundary.  The tokens of the documents make the score; the boundaries after them are
read and kept apart, because whether the end of an excerpt was to be expected says nothing about
its text.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from charlm.data.preparation.counting import TextCounter
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader
from charlm.inference.scoring.scorer import CARRIED, Reading, Scored, Scorer, score_ids
from charlm.inference.scoring.streams import store_segments, text_segments
from charlm.metrics import Score

__all__ = [
    "Reading",
    "Scored",
    "Watcher",
    "score_documents",
    "score_ids",
    "score_part",
    "score_store",
    "score_text",
]

AT_ONCE = 1 << 14
"""Tokens of a store between two scores that are yielded."""


class Watcher:
    """Counts the text of pieces, and what of it the vocabulary lacks, while they pass."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.counter = TextCounter()
        self.unknown = Counter[str]()

    def watch(self, pieces: Iterable[EncodedPiece]) -> Iterator[EncodedPiece]:
        """Pass the pieces on."""
        for piece in pieces:
            self.counter.add(Piece(piece.text, piece.starts))
            if self.tokenizer.unknown_id in piece.ids and isinstance(piece.text, str):
                self.unknown += self.tokenizer.unknown(piece.text)
            yield piece

    def total(self) -> Scored:
        """What was counted.  Raises ``CorpusError`` if no text passed."""
        counts = self.counter.counts
        if not counts.documents:
            raise CorpusError("there is no text to score", "name a file that has some")
        score = Score(chars=counts.chars, bytes=counts.bytes, words=counts.words)
        return Scored(score, self.unknown)


def score_documents(
    model: Predictor,
    tokenizer: Tokenizer,
    pieces: Iterable[EncodedPiece],
    reading: Reading = CARRIED,
    names: Sequence[str] = (),
) -> Iterator[Scored]:
    """Score documents bit by bit; the sum of what is yielded is the score of all.

    Leaves weights, mode and random generators as they are; memory does not grow with the text.
    ``names`` are those of the files, for messages.  Raises ``CorpusError`` if there is no text at
    all, or a token has probability zero.
    """
    watcher = Watcher(tokenizer)
    watched = watcher.watch(pieces)
    segments = text_segments(tokenizer, watched, reading.reset, breaks=reading.breaks)
    yield from Scorer(model, tokenizer, reading, names).score(segments)
    yield watcher.total()


def score_part(
    model: Predictor, tokenizer: Tokenizer, store: TokenStore, reading: Reading
) -> Iterator[Scored]:
    """The same of a part of a run, which knows its text's counts.

    Raises ``CorpusError`` also where its tokens do not say where a stream ends.
    """
    yield Scored(text_of(store))
    segments = store_segments(tokenizer, store, reading.reset, breaks=reading.breaks)
    yield from Scorer(model, tokenizer, reading).score(segments)


def score_store(model: Predictor, store: TokenStore, unknown_id: int | None) -> Iterator[Scored]:
    """Score the tokens of a store, bit by bit, as one stream."""
    yield Scored(text_of(store))
    reader, tokens = Reader(model), store.tokens[1:]
    for begin in range(0, len(tokens), AT_ONCE):
        ids = tokens[begin : begin + AT_ONCE]
        yield Scored(score_ids(reader.nll(ids), ids, unknown_id), read=len(ids))


def score_text(
    model: Predictor,
    tokenizer: Tokenizer,
    text: str,
    reading: Reading = CARRIED,
) -> Score:
    """The score of one text."""
    piece = EncodedPiece(ids=tokenizer.encode(text), text=text, starts=True)
    scored = score_documents(model, tokenizer, [piece] if text else [], reading)
    return sum((part.score for part in scored), start=Score())


def text_of(store: TokenStore) -> Score:
    """What the text of a store is counted in."""
    counts = store.counts
    return Score(chars=counts.chars, bytes=counts.bytes, words=counts.words)
