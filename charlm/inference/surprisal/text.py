"""Surprisal, unit by unit: of each token, character, word or line of a text.

The surprisals of all units of a text sum to the nll of the text, whatever the unit.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TypeAlias

from charlm.config.section import one_of
from charlm.data.preparation.encoding import EncodedPiece, encode_documents
from charlm.data.preparation.streams import RESETS, Reset, StreamPart, cut_text, newline_ids
from charlm.data.sources.corpora import Corpus
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError, counted
from charlm.inference.adaptation.overlap import refuse_overlap
from charlm.inference.loading import Loaded
from charlm.inference.predictors.lines import measure_lines
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader
from charlm.inference.surprisal.frequencies import count_units
from charlm.inference.surprisal.measures import Prediction, Predictions
from charlm.inference.surprisal.units import (
    Unit,
    by_char,
    by_line,
    by_listed_word,
    by_word,
    each_token,
)
from charlm.inference.texts import gather_short, has_tables, natural_reset, row_cells
from charlm.notebook import html_table

__all__ = [
    "UNITS",
    "Surprisal",
    "SurprisalSums",
    "Surprisals",
    "measure_surprisal",
    "spelled",
    "surprisals",
    "with_sums",
]

UNITS = ("token", "char", "word", "line")
GROUPINGS = {"token": each_token, "char": by_char, "word": by_word, "line": by_line}
OF_WORDS = GROUPINGS | {"word": by_listed_word, "line": partial(by_line, between=b" ")}
"""How the tokens of a word tokenizer are grouped, which have no white space."""

BOUNDARY = "<|boundary|>"

TOGETHER = 1 << 13
"""Tokens of short documents or lines that are read side by side."""

SentenceKey: TypeAlias = tuple[int, int]
"""The numbers of a document and of its line, from 0; the line is 0 unless each is a stream."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Surprisal:
    """One unit of a text: its text, its surprisal, and what was expected where it begins.

    ``index`` counts units from 0, ``document`` documents (or items of a table); ``sentence`` is the
    line of the document where each line is read by itself, else 0; ``position`` counts the units
    of the document, or of that line.  ``text`` is as in the text itself; ``nll`` is its surprisal
    in nats, of ``tokens`` tokens, of which the tokenizer does not know ``oov``.  ``entropy``
    (nats), ``rank`` and ``guesses`` (texts and probabilities) are those of the unit's first token;
    ``reduction`` (nats) is by how much the entropy is below that of the unit before, 0 if it is
    not.

    ``cells`` are those of the table that the unit is from.  ``previous`` is the surprisal in nats
    of the unit before in the document or line, and ``unigram`` that of the unit by its frequency in
    the training text alone; None where there is none or it was not asked for.
    """

    index: int
    document: int
    sentence: int
    position: int
    text: str
    nll: float
    tokens: int
    oov: int
    entropy: float
    reduction: float
    rank: int
    guesses: tuple[tuple[str, float], ...] = ()
    cells: Mapping[str, str] = field(default_factory=dict)
    previous: float | None = None
    unigram: float | None = None

    @property
    def bits(self) -> float:
        """The surprisal in bits."""
        return self.nll / math.log(2)

    @property
    def length(self) -> int:
        """Characters of the text without the white space around it."""
        return len(self.text.strip())

    def __repr__(self) -> str:
        return f"Surprisal({self.text!r}, {self.bits:.2f} bits)"


class Surprisals(list[Surprisal]):
    """A list of units, which notebooks show as a table."""

    def _repr_html_(self) -> str:
        rows = [(row.text, row.bits, row.entropy / math.log(2), row.rank) for row in self]
        total = sum(row.bits for row in self)
        title = f"{counted(len(self), 'unit')}, {total:,.2f} bits in all"
        return html_table(title, rows, ("text", "bits", "entropy (bits)", "rank"))


@dataclass(frozen=True)
class SurprisalSums:
    """The surprisal of all units in nats, and that of a model without methods, ``static``."""

    nll: float
    static: float


def measure_surprisal(
    loaded: Loaded,
    corpus: Corpus,
    by: str = "word",
    *,
    reset: Reset | None = None,
    top: int = 0,
    more: bool = False,
) -> Iterator[Surprisal]:
    """The units of a corpus in order, lazily; a row of a table brings its other cells.

    ``reset`` says where the state starts anew; None: at each document where documents are items by
    themselves (rows of tables, several texts in memory), else never.  ``top`` guesses are given,
    at most as many as the vocabulary has.  ``more`` fills in ``unigram``, from the text that the
    run was trained on.  Raises what ``surprisals`` does, and ``CorpusError`` for ``more`` where
    the training text is gone and for text that the model was tuned on.
    """
    refuse_overlap(loaded, loaded.tuned_on, corpus)
    frequencies = count_units(loaded, by) if more else None
    pieces = encode_documents(loaded.tokenizer, corpus)
    reset = reset or natural_reset(corpus)
    rows = surprisals(loaded.model, loaded.tokenizer, pieces, by, reset=reset, top=top)
    if has_tables(corpus):
        rows = with_cells(rows, row_cells(corpus))
    if frequencies is not None:
        rows = (replace(row, unigram=frequencies.surprisal(row.text, row.oov)) for row in rows)
    return rows


def with_cells(
    rows: Iterable[Surprisal], cells: Iterator[Mapping[str, str]]
) -> Iterator[Surprisal]:
    """The rows with the cells of their documents, of which some may have no rows."""
    found: Mapping[str, str] = {}
    document = -1
    for row in rows:
        while document < row.document:
            found, document = next(cells, {}), document + 1
        yield replace(row, cells=found)


def with_sums(
    rows: Iterable[Surprisal], static: Iterable[Surprisal]
) -> Iterator[Surprisal | SurprisalSums]:
    """The rows, and last their sum beside that of the rows of a static model."""
    total = 0.0
    for row in rows:
        total += row.nll
        yield row
    yield SurprisalSums(total, sum(row.nll for row in static))


def surprisals(
    model: Predictor,
    tokenizer: Tokenizer,
    pieces: Iterable[EncodedPiece],
    by: str,
    *,
    reset: Reset = "never",
    top: int = 0,
) -> Iterator[Surprisal]:
    """Yield the units of all documents in order, with the ``top`` guesses.

    A word is a run of non-space; white space belongs to the word that it ends, and so does the
    share of the next token's surprisal that is due to this white space coming at all (Pimentel
    and Meister 2024, arXiv:2406.14561; Oh and Schuler 2024, arXiv:2406.10851).  White space
    before the first word belongs to that.

    Raises ``ConfigError`` for an unknown unit or ``reset``, for characters of a tokenizer whose
    tokens hold several of them, and for lines where no token ends one.
    """
    check_unit(tokenizer, by)
    one_of("reset", reset, RESETS)
    group = (OF_WORDS if tokenizer.kind == "word" else GROUPINGS)[by]
    predictions = Predictions(tokenizer, top, splitting=by == "word")
    parts = cut_text(tokenizer, map(predictions.note_unknown, pieces), reset)
    tokens = predict(model, predictions, parts, reset)
    index = 0
    for key, own in groupby(tokens, key=itemgetter(0)):
        units = group(token for _, token in own)
        for row in describe(tokenizer, units, index, key):
            yield row
            index += 1


def check_unit(tokenizer: Tokenizer, by: str) -> None:
    """Raise ``ConfigError`` for units that the tokens cannot tell apart."""
    one_of("by", by, UNITS)
    if by == "char" and tokenizer.kind not in ("char", "byte"):
        raise ConfigError(
            f"`by='char'` needs a char or byte tokenizer, and this run's is {tokenizer.kind}",
            "give `by='token'`, word or line",
        )
    if by == "line" and not newline_ids(tokenizer):
        raise ConfigError(
            "`by='line'` needs tokens that end lines, and this run's tokenizer has none",
            "give each line as a document of its own, or `by='word'`",
        )


def predict(
    model: Predictor, predictions: Predictions, parts: Iterable[StreamPart], reset: Reset
) -> Iterator[tuple[SentenceKey, Prediction]]:
    """Every token of the text with its document, counted over all files, and its line.

    Short independent streams are read together.
    """
    reader, document, last = Reader(model), -1, None
    boundary, unknown = predictions.tokenizer.boundary_id, predictions.tokenizer.unknown_id
    for group in gather_short(parts, reset, TOGETHER, TOGETHER):
        found: Iterable[tuple[StreamPart, Iterable[Prediction]]]
        if isinstance(group, StreamPart):
            reader = Reader(model) if group.begins else reader
            found = [(group, predictions.read(reader, group.ids))]
        else:
            lines = [part.ids for part in group]
            found = zip(group, measure_lines(model, lines, predictions.measure), strict=True)
        for part, tokens in found:
            assert part.position is not None
            here = (part.position.file, part.position.document)
            document, last = document + (here != last), here
            line = part.position.line - 1 if reset == "line" else 0
            for token in tokens:
                if token.token == unknown:
                    yield (document, line), token._replace(content=predictions.unknown.popleft())
                elif token.token != boundary:
                    yield (document, line), token


def describe(
    tokenizer: Tokenizer, units: Iterable[Unit], index: int, key: SentenceKey
) -> Iterator[Surprisal]:
    """The record of each unit of a document or line, numbered from ``index`` on."""
    entropy_before, previous = 0.0, None
    for position, unit in enumerate(units):
        assert unit.first is not None
        entropy, guesses = unit.first.entropy, unit.first.guesses
        yield Surprisal(
            index=index + position,
            document=key[0],
            sentence=key[1],
            position=position,
            text=unit.content.decode("utf-8", errors="replace"),
            nll=unit.nll,
            tokens=len(unit.tokens),
            oov=sum(token == tokenizer.unknown_id for token in unit.tokens),
            entropy=entropy,
            reduction=max(0.0, entropy_before - entropy),
            rank=unit.first.rank,
            guesses=tuple((spelled(tokenizer, token), prob) for token, prob in guesses),
            previous=previous,
        )
        entropy_before, previous = entropy, unit.nll


def spelled(tokenizer: Tokenizer, token: int) -> str:
    """The text of a token that may be the boundary."""
    if token == tokenizer.boundary_id:
        return BOUNDARY
    return tokenizer.token_bytes(token).decode("utf-8", errors="replace")
