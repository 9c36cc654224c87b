"""Reads streams with a model and adds up how surprising their tokens were."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.predictors.lines import nll_of_lines
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader
from charlm.inference.scoring.curve import Curve, blocks_of, curve_of
from charlm.inference.scoring.streams import Place, Reset, Segment
from charlm.metrics import Score

__all__ = ["CARRIED", "Reading", "Scored", "Scorer", "score_ids"]

BLOCK = 256
"""Tokens per block of the standard error; longer than what neighbouring tokens share."""

AT_ONCE = 1 << 14
"""Tokens of a stream between two scores that are yielded; a multiple of ``BLOCK``.  What is
independent and shorter is scored together with others, and is one block."""

WINDOW = 1 << 18
"""Tokens of independent lines or documents that are gathered to be scored together."""

LEAST = 16
"""What a shorter line counts there: it takes memory of its own."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a text is read: where the state starts anew, and what is counted.

    With ``closed`` the boundary after a stream is a token of the score; without ``breaks`` the
    line breaks between lines are not.  ``curve`` asks for the nll by position.
    """

    reset: Reset = "never"
    closed: bool = False
    breaks: bool = True
    curve: bool = False


@dataclass(frozen=True)
class Scored:
    """What some more text adds to a score, and the unknown characters or words in it.

    ``read`` is about how many bytes of text it was, for progress.
    """

    score: Score
    unknown: Counter[str] = field(default_factory=Counter)
    read: float = 0.0
    curve: Curve = field(default_factory=Curve)


CARRIED = Reading()


class Scorer:
    """Scores the streams of a text; ``names`` are those of its files, for messages."""

    def __init__(
        self, model: Predictor, tokenizer: Tokenizer, reading: Reading, names: Sequence[str] = ()
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.reading = reading
        self.names = names
        self.together = reading.reset in ("document", "line")
        self.reader = Reader(model)
        self.position = 0

    def score(self, segments: Iterable[Segment]) -> Iterator[Scored]:
        """Short independent streams together, the others one after the other."""
        for group in self.gather(segments):
            if self.is_short(group[0]):
                yield self.score_window(group)
            else:
                yield from self.score_stream(group[0])

    def gather(self, segments: Iterable[Segment]) -> Iterator[list[Segment]]:
        """Short streams in windows, all other segments alone, in order."""
        window: list[Segment] = []
        tokens = 0
        for segment in segments:
            short = self.is_short(segment)
            if window and (not short or tokens >= WINDOW):
                yield window
                window, tokens = [], 0
            if short:
                window.append(segment)
                tokens += max(len(segment.ids), LEAST)
            else:
                yield [segment]
        if window:
            yield window

    def is_short(self, segment: Segment) -> bool:
        """Whether this is a whole stream that may be scored together with others."""
        whole = segment.begins and segment.ends
        return self.together and whole and len(segment.ids) < AT_ONCE

    def score_window(self, window: Sequence[Segment]) -> Scored:
        """Score whole streams, each a block."""
        lines = [with_end(segment) for segment in window]
        lengths = np.array([len(line) for line in lines])
        nll, ids = np.concatenate(nll_of_lines(self.model, lines)), np.concatenate(lines)
        labels = np.repeat(np.arange(len(lines)), lengths)
        begins = np.cumsum(lengths) - lengths
        if len(bad := self.impossible(nll, ids)):
            line = labels[bad[0]]
            self.refuse(lines[line], bad[0] - begins[line], window[line].place)
        positions = np.arange(len(ids)) - np.repeat(begins, lengths) + 1
        size = sum(segment.size for segment in window)
        return self.add_up(nll, ids, labels, positions, size)

    def score_stream(self, segment: Segment) -> Iterator[Scored]:
        """Score what comes next in a stream, bit by bit."""
        if segment.begins and self.position:
            self.reader, self.position = Reader(self.model), 0
        ids = with_end(segment) if segment.ends else segment.ids
        for begin in range(0, len(ids), AT_ONCE):
            some = ids[begin : begin + AT_ONCE]
            nll = self.reader.nll(some)
            if len(bad := self.impossible(nll, some)):
                self.refuse(ids, begin + bad[0], segment.place)
            labels = in_blocks(self.counted(some))
            positions = self.position + 1 + np.arange(len(some))
            self.position += len(some)
            yield self.add_up(nll, some, labels, positions, segment.size * len(some) / len(ids))

    def counted(self, ids: np.ndarray) -> np.ndarray:
        """Which of ids (N,) are tokens of the score."""
        return np.ones(len(ids), dtype=bool) if self.reading.closed else ids != 0

    def add_up(
        self,
        nll: np.ndarray,
        ids: np.ndarray,
        labels: np.ndarray,
        positions: np.ndarray,
        size: float,
    ) -> Scored:
        """Sum nll (N,) of ids (N,) in the blocks that labels (N,) number."""
        counted = self.counted(ids)
        score = sums(nll, ids, labels, counted, self.tokenizer.unknown_id)
        curve = Curve()
        if self.reading.curve:
            curve = curve_of(nll[counted], positions[counted], labels[counted])
        return Scored(score, read=size, curve=curve)

    def impossible(self, nll: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """The places of tokens of the score that have no probability."""
        return np.flatnonzero(~np.isfinite(nll) & self.counted(ids))

    def refuse(self, ids: np.ndarray, at: int, place: Place | None) -> NoReturn:
        """Raise ``CorpusError`` for one of ids (N,), which begin at ``place``."""
        line = self.tokenizer.decode(ids[:at]).count("\n")
        token = self.tokenizer.decode(ids[at : at + 1])
        shown = repr(token) if token else "the end of a document"
        raise CorpusError(
            f"{described(place, line, self.names)}: the model gives {shown} no probability",
            "score text of known words and characters, or use another model",
        )


def score_ids(nll: np.ndarray, ids: np.ndarray, unknown_id: int | None) -> Score:
    """Sum nll (N,) of ids (N,), boundaries (id 0) apart; nothing is counted on the text."""
    counted = ids != 0
    return sums(nll, ids, in_blocks(counted), counted, unknown_id)


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


def with_end(segment: Segment) -> np.ndarray:
    """The ids (N + 1,) of a segment and the boundary after it."""
    return np.concatenate((segment.ids, np.zeros(1, dtype=segment.ids.dtype)))


def in_blocks(counted: np.ndarray) -> np.ndarray:
    """Numbers of the blocks in which ids (N,) lie, of which some are counted."""
    return (np.cumsum(counted) - 1) // BLOCK


def described(place: Place | None, lines: int, names: Sequence[str]) -> str:
    """In words where it is, so many lines after a place."""
    if place is None:
        return "the text"
    name = names[place.file] if place.file < len(names) else "the text"
    document = f", document {place.document:,}" if place.document > 1 else ""
    return f"{name}{document}, line {place.line + lines:,}"
