"""Minimal pairs: does the model find the good sentence more probable than the bad one?

The score of a sentence is its log-probability as a document of its own: from the boundary on, its
end not scored, not divided by its length.  That is the full-sentence method of BLiMP (Warstadt et
al. 2020, arXiv:1912.00582), as lm-evaluation-harness has it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from charlm.data.formats.alignment import join_texts, token_spans
from charlm.data.formats.listing import Listing
from charlm.data.formats.pairs import Pair, PairList
from charlm.data.sources.tables import check_unicode
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.loading import Loaded
from charlm.inference.predictors.lines import nll_of_lines
from charlm.inference.texts import refuse_run
from charlm.notebook import html_table

__all__ = [
    "Accuracy",
    "PairCounts",
    "PairScore",
    "PairScores",
    "measure_pairs",
    "take_pairs",
]

AT_ONCE = 512
"""Pairs whose sentences are handed to the model together."""


@dataclass(frozen=True, repr=False)
class PairScore:
    """A pair, the log-probabilities (nats) of its sentences, and how many of their tokens are the
    unknown symbol (``oov``).
    """

    pair: Pair
    good: float
    bad: float
    oov: int

    @property
    def difference(self) -> float:
        """By how much the good sentence is more probable, in nats."""
        return self.good - self.bad

    @property
    def correct(self) -> bool:
        """Whether the good sentence wins; a tie is no win."""
        return self.good > self.bad

    def __repr__(self) -> str:
        return (
            f"PairScore({self.pair.good!r} {self.good:.2f} nats, {self.pair.bad!r} {self.bad:.2f} "
            f"nats, correct={self.correct})"
        )


class PairScores(list[PairScore]):
    """A list of pairs, which notebooks show as a table."""

    def _repr_html_(self) -> str:
        rows = [
            (each.pair.good, each.pair.bad, each.difference, "yes" if each.correct else "no")
            for each in self
        ]
        right = sum(each.correct for each in self)
        title = f"{right:,} of {len(self):,} pairs correct"
        return html_table(title, rows, ("good", "bad", "difference (nats)", "correct"))


@dataclass(frozen=True)
class Accuracy:
    """In how many of the pairs of a group the good sentence wins; ties are no wins.

    ``unknown`` pairs have tokens that are the unknown symbol.
    """

    group: str
    name: str
    pairs: int
    correct: int
    ties: int
    unknown: int

    @property
    def accuracy(self) -> float:
        """The share of pairs."""
        return self.correct / self.pairs

    @property
    def se(self) -> float:
        """The standard error of the share, that of a binomial distribution."""
        return math.sqrt(self.accuracy * (1 - self.accuracy) / self.pairs)


class PairCounts:
    """Counts pairs: all of them, and those of each field and each UID."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], np.ndarray] = {}

    def count(self, scores: Iterable[PairScore]) -> Iterator[PairScore]:
        """Count pairs as they pass."""
        for score in scores:
            found = np.array([1, score.correct, score.good == score.bad, score.oov > 0])
            for group in ("all", ""), ("field", score.pair.field), ("UID", score.pair.uid):
                if group[1] or group[0] == "all":
                    self.counts[group] = self.counts.get(group, 0) + found
            yield score

    def accuracies(self) -> list[Accuracy]:
        """All pairs, then the fields, then the UIDs, each in the order they came."""
        order = sorted(self.counts, key=lambda group: ("all", "field", "UID").index(group[0]))
        return [Accuracy(*group, *self.counts[group].tolist()) for group in order]


def take_pairs(
    pairs: str | Path | Iterable[str | Path | Pair | tuple[str, str]], encoding: str = "utf-8"
) -> Sequence[Pair] | PairList:
    """Pairs as Python users give them: tuples (good, bad), or files by their paths.

    Raises ``ConfigError`` for no pairs, for a run in place of a file, and for what is no pair.
    """
    given = [pairs] if isinstance(pairs, str | Path) else list(pairs)
    if not given:
        raise ConfigError("no pair was given", "give tuples (good, bad), or a Path")
    if all(isinstance(each, str | Path) for each in given):
        return PairList([Listing(refuse_run(str(path)), encoding) for path in given])
    return [pair_of(each) for each in given]


def pair_of(given: object) -> Pair:
    """A pair from a pair or from (good, bad).  Raises ``ConfigError``."""
    if isinstance(given, Pair):
        return given
    if isinstance(given, tuple | list) and len(given) == 2:
        good, bad = given
        if isinstance(good, str) and isinstance(bad, str) and good.strip() and bad.strip():
            check_unicode(good + bad, "the pair")
            return Pair(good=good, bad=bad)
    raise ConfigError(f"a pair is (good, bad), two texts, got {given!r}", "give tuples, or a Path")


def measure_pairs(loaded: Loaded, pairs: Iterable[Pair]) -> Iterator[PairScore]:
    """Yield the pairs in order with their scores; ``pairs`` is gone through twice.

    A context is read before either sentence and is not scored; a space is put between where
    neither brings white space.  Tokens that lie in both belong to the sentence.

    Whatever is wrong with a pair is raised before the first is yielded.
    """
    for _ in pairs:
        pass
    model, tokenizer = loaded.model, loaded.tokenizer
    left = iter(pairs)
    while some := list(islice(left, AT_ONCE)):
        lines = [encode(tokenizer, pair.context, text)
                 for pair in some for text in (pair.good, pair.bad)]  # fmt: skip
        nll = nll_of_lines(model, [ids for ids, _ in lines])
        scored = [
            (ids[first:], -float(each[first:].sum()))
            for each, (ids, first) in zip(nll, lines, strict=True)
        ]
        for pair, good, bad in zip(some, scored[::2], scored[1::2], strict=True):
            yield compare(pair, good, bad, tokenizer.unknown_id)


def compare(
    pair: Pair,
    good: tuple[np.ndarray, float],
    bad: tuple[np.ndarray, float],
    unknown_id: int | None,
) -> PairScore:
    """The score of a pair from the ids and the log-probabilities of its sentences."""
    # To the model they may be one sentence, which rounding in batches must not tell apart.
    same = np.array_equal(good[0], bad[0])
    oov = sum(int((ids == unknown_id).sum()) for ids, _ in (good, bad))
    return PairScore(pair, good[1], good[1] if same else bad[1], oov)


def encode(tokenizer: Tokenizer, context: str, text: str) -> tuple[np.ndarray, int]:
    """The ids (N,) of a text after its context, and the number of those that are not scored."""
    whole, begins = join_texts([context, text] if context else [text], " ")
    ids = tokenizer.encode(whole)
    if not context:
        return ids, 0
    ends = token_spans(tokenizer, whole, ids)[:, 1]
    return ids, int(np.searchsorted(ends, begins[-1], side="right"))
