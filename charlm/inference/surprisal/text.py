"""Surprisal, unit by unit: of each token, character, word or line of a text.

The surprisals of all units of a text sum to the nll of the text, whatever the unit.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from operator import itemgetter
from typing import TypeAlias

import numpy as np

from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.predictors.lines import measure_lines
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader
from charlm.inference.surprisal.measures import Prediction, Predictions
from charlm.inference.surprisal.units import (
    Unit,
    by_char,
    by_line,
    by_listed_word,
    by_word,
    each_token,
)

__all__ = ["CONTEXTS", "UNITS", "Surprisal", "surprisals"]

UNITS = ("token", "char", "word", "line")
CONTEXTS = ("carried", "document", "line")
GROUPINGS = {"token": each_token, "char": by_char, "word": by_word, "line": by_line}
BOUNDARY = "<|boundary|>"

TOGETHER = 1 << 13
"""Tokens of short documents or lines that are read at a time."""

Place: TypeAlias = tuple[int, int]
"""A document and a line of it, from 0."""

Part: TypeAlias = tuple[Place, np.ndarray]
"""Where tokens are, and their ids (N,)."""


@dataclass(frozen=True)
class Surprisal:
    """One unit: its number from 0, the document it is in, its text, nats, and its tokens.

    ``position`` is its number since the document began, or the line if each line is read by
    itself.  ``entropy`` (nats), ``rank`` and ``guesses`` (texts and probabilities) are those of
    the unit's first token; ``reduction`` (nats) is by how much the entropy is below that of the
    unit before, 0 if it is not or if there is none.  ``oov`` of the tokens are the unknown
    symbol, which is also what ``text`` shows for them.
    """

    index: int
    document: int
    position: int
    text: str
    nll: float
    tokens: int
    oov: int
    entropy: float
    reduction: float
    rank: int
    guesses: tuple[tuple[str, float], ...] = ()


def surprisals(
    model: Predictor,
    tokenizer: Tokenizer,
    pieces: Iterable[EncodedPiece],
    unit: str,
    *,
    context: str = "carried",
    top: int = 0,
) -> Iterator[Surprisal]:
    """Yield the units of all documents in order, with the ``top`` guesses.

    ``context`` says what a unit is predicted from: all text before it (``carried``), or only that
    of its ``document`` or ``line``.

    A word is a run of non-space; white space belongs to the word that it ends, and so does the
    share of the next token's surprisal that is due to this white space coming at all (Pimentel
    and Meister 2024, arXiv:2406.14561; Oh and Schuler 2024, arXiv:2406.10851).  White space
    before the first word belongs to that.

    Raises ``ConfigError`` for characters of a tokenizer whose tokens hold several of them, and
    for lines where no token ends one.
    """
    check_unit(tokenizer, unit, context)
    listed = (unit, tokenizer.kind) == ("word", "word")
    group = by_listed_word if listed else GROUPINGS[unit]
    ends = line_ends(tokenizer) if context == "line" else None
    predictions = Predictions(tokenizer, top, splitting=unit == "word")
    read = read_on if context == "carried" else read_apart
    tokens = read(model, predictions, parts(pieces, ends))
    index = 0
    for (document, _), numbered in groupby(tokens, key=itemgetter(0)):
        units = group(token for _, token in numbered)
        for found in describe(tokenizer, units, index, document):
            yield found
            index += 1


def describe(
    tokenizer: Tokenizer, units: Iterable[Unit], index: int, document: int
) -> Iterator[Surprisal]:
    """The record of each of the units that are read one after the other, numbered on."""
    before = 0.0
    for position, unit in enumerate(units):
        assert unit.first is not None
        entropy, guesses = unit.first.entropy, unit.first.guesses
        yield Surprisal(
            index=index + position,
            document=document,
            position=position,
            text=unit.content.decode("utf-8", errors="replace"),
            nll=unit.nll,
            tokens=len(unit.tokens),
            oov=sum(token == tokenizer.unknown_id for token in unit.tokens),
            entropy=entropy,
            reduction=max(0.0, before - entropy),
            rank=unit.first.rank,
            guesses=tuple((spelled(tokenizer, token), prob) for token, prob in guesses),
        )
        before = entropy


def spelled(tokenizer: Tokenizer, token: int) -> str:
    """The text of a token that may be the boundary."""
    if token == tokenizer.boundary_id:
        return BOUNDARY
    return tokenizer.token_bytes(token).decode("utf-8", errors="replace")


def check_unit(tokenizer: Tokenizer, unit: str, context: str) -> None:
    """Raise ``ConfigError`` for units and contexts that the tokens cannot tell apart."""
    if unit == "char" and tokenizer.kind not in ("char", "byte"):
        raise ConfigError(
            f"--by char needs a char or byte tokenizer, and this run's is {tokenizer.kind}",
            "use --by token, word or line",
        )
    if "line" in (unit, context) and not len(line_ends(tokenizer)):
        option = "--by" if unit == "line" else "--context"
        raise ConfigError(
            f"{option} line needs tokens that end lines, and this run's tokenizer has none",
            f"leave {option} line out, or give each line as a document of its own",
        )


def line_ends(tokenizer: Tokenizer) -> np.ndarray:
    """The ids of tokens that end a line."""
    return np.flatnonzero([b"\n" in content for content in tokenizer.table])


def read_on(
    model: Predictor, predictions: Predictions, parts: Iterable[Part]
) -> Iterator[tuple[Place, Prediction]]:
    """Every token with its place; all are one stream, with a boundary between places."""
    reader, place = Reader(model), (0, 0)
    for here, ids in parts:
        if here != place:
            place = here
            reader.nll(np.zeros(1, dtype=ids.dtype))
        for token in predictions.read(reader, ids):
            yield place, token


def read_apart(
    model: Predictor, predictions: Predictions, parts: Iterable[Part]
) -> Iterator[tuple[Place, Prediction]]:
    """The same where each place is a stream of its own; short ones are read side by side."""
    waiting: list[Part] = []
    for place, group in groupby(parts, key=itemgetter(0)):
        rest = (ids for _, ids in group)
        ids = join(rest, TOGETHER)
        if len(ids) < TOGETHER:
            waiting.append((place, ids))
        if sum(len(ids) for _, ids in waiting) >= TOGETHER or len(ids) >= TOGETHER:
            yield from read_waiting(model, predictions, waiting)
            waiting = []
        if len(ids) >= TOGETHER:
            reader = Reader(model)
            for some in chain([ids], rest):
                yield from ((place, token) for token in predictions.read(reader, some))
    yield from read_waiting(model, predictions, waiting)


def read_waiting(
    model: Predictor, predictions: Predictions, waiting: list[Part]
) -> Iterator[tuple[Place, Prediction]]:
    """Places with all their ids, side by side."""
    found = measure_lines(model, [ids for _, ids in waiting], predictions.measure)
    for tokens, (place, _) in zip(found, waiting, strict=True):
        yield from ((place, token) for token in tokens)


def join(arrays: Iterator[np.ndarray], enough: int) -> np.ndarray:
    """The first of the arrays as one, until they hold ``enough`` numbers."""
    taken = [next(arrays)]
    while sum(map(len, taken)) < enough and (more := next(arrays, None)) is not None:
        taken.append(more)
    return np.concatenate(taken)


def parts(pieces: Iterable[EncodedPiece], ends: np.ndarray | None) -> Iterator[Part]:
    """The ids of each piece with its document, cut behind the ``ends`` and their lines numbered."""
    document, line = -1, 0
    for piece in pieces:
        if piece.starts:
            document, line = document + 1, 0
        cuts = np.flatnonzero(np.isin(piece.ids, ends)) + 1 if ends is not None else ()
        for number, ids in enumerate(np.split(piece.ids, cuts)):
            line += bool(number)
            yield (document, line), ids
