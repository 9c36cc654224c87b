"""The weights that make the fewest word errors on lists with references.

For a fixed ratio of the word bonus to the LM weight, the total of every hypothesis is a straight
line over the LM weight, and the best hypothesis changes only where lines cross.  So the errors are
known for every weight (Och 2003, Minimum error rate training in statistical machine translation).
The ratio is tried on a grid that is made finer around the best.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from charlm.inference.rescoring.hypotheses import RankedList, RescoringWeights
from charlm.inference.rescoring.word_errors import distances

__all__ = ["TuningTable", "figures_of", "search", "tabulate", "tune"]

WIDEST = 8.0
"""The largest ratio of word bonus to LM weight, in nats a word; about what a word costs."""

STEP = 0.5
"""Distance of the ratios that are tried first."""

REFINEMENTS = 5
"""How often that distance is halved around the best ratio."""


@dataclass(frozen=True)
class TuningTable:
    """L lists, padded to n hypotheses: ``given`` (L, n), minus infinity where there is none,
    ``log_p`` (L, n), ``words`` (L, n) and ``errors`` (L, n).
    """

    given: np.ndarray
    log_p: np.ndarray
    words: np.ndarray
    errors: np.ndarray


class Optimum(NamedTuple):
    """An LM ``weight`` and the ``ratio`` of the word bonus to it.

    Compared field by field: fewest errors first, then the ratio nearest to zero.
    """

    errors: int
    size: float
    ratio: float
    weight: float


def figures_of(ranked: RankedList, reference: Sequence[str]) -> np.ndarray:
    """What tuning needs of a list, (n, 4): given, ln p, words and errors of each hypothesis."""
    errors = distances(reference, [row.hypothesis.text.split() for row in ranked.rows])
    return np.column_stack([[(row.given, row.log_p, row.words) for row in ranked.rows], errors])


def tabulate(figures: Sequence[np.ndarray]) -> TuningTable:
    """The figures (n, 4) of lists as one table, padded to the longest list."""
    table = np.zeros((4, len(figures), max(map(len, figures), default=0)))
    table[0] = -math.inf
    for at, rows in enumerate(figures):
        table[:, at, : len(rows)] = rows.T
    return TuningTable(*table)


def tune(table: TuningTable) -> RescoringWeights:
    """The weights with the fewest errors; of several, those with the smallest word bonus."""
    tried = np.arange(-WIDEST, WIDEST + STEP, STEP).tolist()
    best = min(search(table, ratio) for ratio in tried)
    step = STEP
    for _ in range(REFINEMENTS):
        step /= 2
        around = (best.ratio - step, best.ratio + step)
        best = min(best, *(search(table, ratio) for ratio in around))
    return RescoringWeights(significant(best.weight), significant(best.weight * best.ratio))


def search(table: TuningTable, ratio: float) -> Optimum:
    """The best LM weight for a ``ratio``: amid the widest interval with the fewest errors."""
    crossings, changes, errors = sweep(table, table.log_p + ratio * table.words)
    order = np.argsort(crossings, kind="stable")
    starts = np.append(0.0, crossings[order])
    counts = errors + np.append(0, np.cumsum(changes[order]))
    ends = np.append(starts[1:], 2 * starts[-1] or 2.0)  # the last interval has no end
    # Weights are compared by their ratio, and no interval needs to be wider than a doubling.
    widths = np.minimum((ends - starts) / ends.clip(min=np.finfo(float).tiny), 0.5)
    real = widths > 1e-9
    fewest = counts[real].min()
    at = int(np.argmax(np.where(real & (counts == fewest), widths, -1)))
    return Optimum(int(fewest), abs(ratio), ratio, float(starts[at] + ends[at]) / 2)


def sweep(table: TuningTable, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Follow the best hypothesis of each list as the weight grows from zero.

    Returns at which weights (m,) it changes, by how many errors (m,), and the errors at zero.
    """
    lists = np.arange(len(slopes))
    best = table.given.argmax(axis=1)
    errors = int(table.errors[lists, best].sum())
    weights, changes = [np.empty(0)], [np.empty(0, dtype=np.int64)]
    while True:
        gain = slopes - slopes[lists, best][:, None]
        behind = table.given[lists, best][:, None] - table.given
        meets = np.divide(behind, gain, out=np.full(gain.shape, math.inf), where=gain > 0)
        soonest = meets.min(axis=1)
        moving = np.isfinite(soonest)
        if not moving.any():
            return np.concatenate(weights), np.concatenate(changes), errors
        # Where several meet in one point, the steepest is best beyond it.
        following = np.where(meets <= soonest[:, None], slopes, -math.inf).argmax(axis=1)
        following = np.where(moving, following, best)
        change = table.errors[lists, following] - table.errors[lists, best]
        weights.append(soonest[moving])
        changes.append(change[moving].astype(np.int64))
        best = following


def significant(number: float) -> float:
    """``number`` rounded to six digits, so that the weight printed is the weight used."""
    return float(f"{number:.6g}")
