"""Reads streams with a model and adds up the negative log-likelihood of their tokens."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import NoReturn

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.data.preparation.streams import Reset, StreamPart, TextPosition
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.predictors.lines import nll_of_lines
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader
from charlm.inference.scoring.curve import Curve, blocks_of, curve_of
from charlm.inference.texts import gather_short
from charlm.metrics import Score

__all__ = ["CARRIED", "PartialScore", "Scorer", "StreamOptions", "in_blocks", "sums"]

BLOCK = 256
"""Tokens per block of the standard error; longer than what neighbouring tokens share."""

AT_ONCE = 1 << 14
"""Tokens of a stream between two scores that are yielded; a multiple of ``BLOCK``.  Shorter
independent streams are scored together with others, and each is one block."""

GATHERED = 1 << 18
"""Tokens of independent lines or documents that are gathered to be scored together."""

LEAST = 16
"""Tokens that a shorter line counts as when lines are gathered: it takes memory of its own."""


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """How a text is cut into streams, and which of their tokens count.

    With ``score_ends`` the boundary after a stream is a token of the score.  Without
    ``line_breaks`` the line breaks between lines are neither read nor scored.  ``curve`` asks for
    the nll by position.
    """

    reset: Reset = "never"
    score_ends: bool = False
    line_breaks: bool = True
    curve: bool = False


@dataclass(frozen=True, kw_only=True, repr=False)
class PartialScore(Score):
    """The score of some more text, and the characters or words in it that the vocabulary lacks.

    ``read`` is about how many bytes of text it was, for progress; ``curve`` is the nll by position,
    if it was asked for.  Partial scores add.
    """

    unknown: Counter[str] = field(default_factory=Counter)
    read: float = 0.0
    curve: Curve = field(default_factory=Curve)

    def __add__(self, other: Score) -> "PartialScore":
        sums = {
            f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(PartialScore)
        }
        return PartialScore(**sums)


CARRIED = StreamOptions()
"""One stream, the state carried from the first token to the last."""


class Scorer:
    """Scores the streams of a text; ``names`` are those of its files, for messages."""

    def __init__(
        self,
        model: Predictor,
        tokenizer: Tokenizer,
        options: StreamOptions,
        names: Sequence[str] = (),
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.options = options
        self.names = names
        self.reader = Reader(model)
        self.position = 0

    def score(self, parts: Iterable[StreamPart]) -> Iterator[PartialScore]:
        """Score short independent streams together, all other parts one after the other.

        Raises ``CorpusError`` for a token without probability.
        """
        for group in gather_short(parts, self.options.reset, AT_ONCE, GATHERED, LEAST):
            if isinstance(group, StreamPart):
                yield from self.score_part(group)
            else:
                lines, size = [with_end(part) for part in group], sum(part.size for part in group)
                yield self.score_lines(lines, size, [part.position for part in group])

    def score_lines(
        self,
        lines: Sequence[np.ndarray],
        size: float,
        where: Sequence[TextPosition | None],
        first: Sequence[int] | None = None,
    ) -> PartialScore:
        """Score whole streams (N,) of about ``size`` bytes together, each a block.

        ``where`` they begin is for messages; ``first`` are the tokens before them, boundaries if
        None.
        """
        lengths = np.array([len(line) for line in lines])
        nll, ids = np.concatenate(nll_of_lines(self.model, lines, first)), np.concatenate(lines)
        labels = np.repeat(np.arange(len(lines)), lengths)
        begins = np.cumsum(lengths) - lengths
        if len(bad := self.impossible(nll, ids)):
            line = labels[bad[0]]
            self.refuse(lines[line], bad[0] - begins[line], where[line])
        positions = np.arange(len(ids)) - np.repeat(begins, lengths) + 1
        return self.add_up(nll, ids, labels, positions, size)

    def score_part(self, part: StreamPart) -> Iterator[PartialScore]:
        """Score what comes next in a stream, ``AT_ONCE`` tokens at a time."""
        if part.begins and self.position:
            self.reader, self.position = Reader(self.model), 0
        ids = with_end(part) if part.ends else part.ids
        for begin in range(0, len(ids), AT_ONCE):
            some = ids[begin : begin + AT_ONCE]
            nll = self.reader.nll(some)
            if len(bad := self.impossible(nll, some)):
                self.refuse(ids, begin + bad[0], part.position)
            labels = in_blocks(self.counted(some))
            positions = self.position + 1 + np.arange(len(some))
            self.position += len(some)
            yield self.add_up(nll, some, labels, positions, part.size * len(some) / len(ids))

    def counted(self, ids: np.ndarray) -> np.ndarray:
        """Which of ids (N,) are tokens of the score."""
        return np.ones(len(ids), dtype=bool) if self.options.score_ends else ids != BOUNDARY_ID

    def add_up(
        self,
        nll: np.ndarray,
        ids: np.ndarray,
        labels: np.ndarray,
        positions: np.ndarray,
        size: float,
    ) -> PartialScore:
        """Sum nll (N,) of ids (N,) in the blocks that labels (N,) number."""
        counted = self.counted(ids)
        score = sums(nll, ids, labels, counted, self.tokenizer.unknown_id)
        curve = Curve()
        if self.options.curve:
            curve = curve_of(nll[counted], positions[counted], labels[counted])
        return PartialScore(**vars(score), read=size, curve=curve)

    def impossible(self, nll: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """The indices of tokens of the score that have no probability."""
        return np.flatnonzero(~np.isfinite(nll) & self.counted(ids))

    def refuse(self, ids: np.ndarray, at: int, position: TextPosition | None) -> NoReturn:
        """Raise ``CorpusError`` for one of ids (N,), which begin at ``position``."""
        line = self.tokenizer.decode(ids[:at]).count("\n")
        token = self.tokenizer.decode(ids[at : at + 1])
        shown = repr(token) if token else "the end of a document"
        raise CorpusError(
            f"{described(position, line, self.names)}: the model gives {shown} no probability",
            "score text of known words and characters, or use another model",
        )


def sums(
    nll: np.ndarray,
    ids: np.ndarray,
    labels: np.ndarray,
    counted: np.ndarray,
    unknown_id: int | None,
) -> Score:
    """The score of what is counted (N,) and, apart, of the boundaries that are not."""
    labels, own = labels[counted], nll[counted]
    oov = counted & (ids == unknown_id) if unknown_id is not None else np.zeros(len(ids), bool)
    return Score(
        nll=float(own.sum()),
        tokens=len(own),
        oov=int(oov.sum()),
        oov_nll=float(nll[oov].sum()),
        boundaries=int((~counted).sum()),
        boundary_nll=float(nll[~counted].sum()),
        blocks=blocks_of(own, labels),
    )


def with_end(part: StreamPart) -> np.ndarray:
    """The ids (N + 1,) of a part and the boundary after it."""
    return np.concatenate((part.ids, np.zeros(1, dtype=part.ids.dtype)))


def in_blocks(counted: np.ndarray) -> np.ndarray:
    """The number of the block that each id is in, where some of them are counted (N,)."""
    return (np.cumsum(counted) - 1) // BLOCK


def described(position: TextPosition | None, lines: int, names: Sequence[str]) -> str:
    """The file, document and line that lies so many lines after a position, in words."""
    if position is None:
        return "the text"
    name = names[position.file] if position.file < len(names) else "the text"
    document = f", document {position.document:,}" if position.document > 1 else ""
    return f"{name}{document}, line {position.line + lines:,}"
