"""The likelihood of a text: every token predicted from all before it in its stream.

Unless asked otherwise a text is one stream with the state carried: boundary, document, boundary,
document, ..., boundary.  The tokens of the documents make the score; the boundaries after them are
read and kept apart, because whether the end of an excerpt was to be expected says nothing about
its text.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from charlm.data.preparation.counting import Counts, TextCounter
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.preparation.store import TokenStore
from charlm.data.preparation.streams import cut_store, cut_text
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.scoring.scorer import CARRIED, PartialScore, Scorer, StreamOptions

__all__ = ["TextCounts", "of_counts", "score_documents", "score_store"]


class TextCounts:
    """Counts the text of pieces, and the characters or words the vocabulary lacks, as they pass."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.counter = TextCounter()
        self.unknown = Counter[str]()

    def count(self, pieces: Iterable[EncodedPiece]) -> Iterator[EncodedPiece]:
        """Pass the pieces on."""
        for piece in pieces:
            self.counter.add(Piece(piece.text, piece.starts))
            if self.tokenizer.unknown_id in piece.ids and isinstance(piece.text, str):
                self.unknown += self.tokenizer.unknown(piece.text)
            yield piece

    def total(self) -> PartialScore:
        """What was counted, without nll or tokens.  Raises ``CorpusError`` if no text passed."""
        counts = self.counter.counts
        if not counts.documents:
            raise CorpusError("there is no text to score", "name a file that has some")
        return of_counts(counts, self.unknown)


def score_documents(
    model: Predictor,
    tokenizer: Tokenizer,
    pieces: Iterable[EncodedPiece],
    options: StreamOptions = CARRIED,
    names: Sequence[str] = (),
) -> Iterator[PartialScore]:
    """Score documents bit by bit; the sum of what is yielded is the score of all.

    Leaves weights, mode and random generators as they are; memory does not grow with the text.
    ``names`` are those of the files, for messages.  Raises ``CorpusError`` if there is no text at
    all, or a token has probability zero.
    """
    counts = TextCounts(tokenizer)
    parts = cut_text(
        tokenizer, counts.count(pieces), options.reset, line_breaks=options.line_breaks
    )
    yield from Scorer(model, tokenizer, options, names).score(parts)
    yield counts.total()


def score_store(
    model: Predictor,
    tokenizer: Tokenizer,
    store: TokenStore,
    options: StreamOptions = CARRIED,
) -> Iterator[PartialScore]:
    """Score a part of a run's own text bit by bit; the store knows the counts of its text.

    Raises ``CorpusError`` where its tokens do not say where a stream ends, or a token has
    probability zero.
    """
    yield of_counts(store.counts, store.unknown)
    parts = cut_store(tokenizer, store, options.reset, line_breaks=options.line_breaks)
    yield from Scorer(model, tokenizer, options).score(parts)


def of_counts(counts: Counts, unknown: Counter[str]) -> PartialScore:
    """What counting alone tells of a text: a score without nll or tokens."""
    return PartialScore(chars=counts.chars, bytes=counts.bytes, words=counts.words, unknown=unknown)
