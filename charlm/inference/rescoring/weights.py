"""The weights that make the fewest word errors on lists with references.

For a fixed worth of a word beside the model, the total of every hypothesis is a straight line over
the weight, and the best hypothesis changes only where lines cross.  So the errors are known for
every weight (Och 2003, Minimum error rate training in statistical machine translation).  The worth
of a word is tried on a grid that is made finer around the best.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from charlm.inference.rescoring.hypotheses import Ranked, Weights
from charlm.inference.rescoring.word_errors import WordErrors, count_errors

__all__ = ["Report", "Table", "figures_of", "tabulate", "tune"]

WIDEST = 8.0
"""Nats that a word is worth at most, beside ln p; about what a word costs."""

STEP = 0.5
REFINEMENTS = 5


@dataclass(frozen=True)
class Table:
    """L lists, padded to n hypotheses: ``given`` (L, n), minus infinity where there is none,
    ``log_p`` (L, n), ``words`` (L, n) and ``errors`` (L, n).
    """

    given: np.ndarray
    log_p: np.ndarray
    words: np.ndarray
    errors: np.ndarray


class Found(NamedTuple):
    """A weight and a worth of words, in the order in which they are preferred."""

    errors: int
    size: float
    worth: float
    weight: float


@dataclass(frozen=True)
class Report:
    """Word errors of the hypotheses that the given scores prefer, of those that the totals do,
    and of the best there are.
    """

    given: WordErrors = field(default_factory=WordErrors)
    rescored: WordErrors = field(default_factory=WordErrors)
    oracle: WordErrors = field(default_factory=WordErrors)

    def add(self, ranked: Ranked, reference: Sequence[str]) -> "Report":
        """The same with one more list."""
        errors = errors_of(ranked, reference)
        return Report(
            self.given + errors[ranked.best_given],
            self.rescored + errors[ranked.best],
            self.oracle + min(errors, key=lambda each: each.errors),
        )


def errors_of(ranked: Ranked, reference: Sequence[str]) -> list[WordErrors]:
    """The errors of each hypothesis."""
    return count_errors(reference, [row.hypothesis.text.split() for row in ranked.rows])


def figures_of(ranked: Ranked, reference: Sequence[str]) -> np.ndarray:
    """What tuning needs of a list, (n, 4): given, ln p, words and errors of each hypothesis."""
    errors = [found.errors for found in errors_of(ranked, reference)]
    return np.column_stack([[(row.given, row.log_p, row.words) for row in ranked.rows], errors])


def tabulate(figures: Sequence[np.ndarray]) -> Table:
    """Lists (n, 4), padded to the same length."""
    table = np.zeros((4, len(figures), max(map(len, figures), default=0)))
    table[0] = -math.inf
    for at, rows in enumerate(figures):
        table[:, at, : len(rows)] = rows.T
    return Table(*table)


def tune(table: Table) -> Weights:
    """The weights with the fewest errors; of several, those that give words the least worth."""
    tried = np.arange(-WIDEST, WIDEST + STEP, STEP).tolist()
    best = min(search(table, worth) for worth in tried)
    step = STEP
    for _ in range(REFINEMENTS):
        step /= 2
        around = (best.worth - step, best.worth + step)
        best = min(best, *(search(table, worth) for worth in around))
    return Weights(significant(best.weight), significant(best.weight * best.worth))


def search(table: Table, worth: float) -> Found:
    """The best weight for a ``worth`` of words: amid the widest stretch with the fewest errors."""
    crossings, changes, errors = sweep(table, table.log_p + worth * table.words)
    order = np.argsort(crossings, kind="stable")
    starts = np.append(0.0, crossings[order])
    counts = errors + np.append(0, np.cumsum(changes[order]))
    ends = np.append(starts[1:], 2 * starts[-1] or 2.0)  # the last stretch has no end
    # Weights are compared by their ratio, and no stretch needs to be wider than a doubling.
    widths = np.minimum((ends - starts) / ends.clip(min=np.finfo(float).tiny), 0.5)
    real = widths > 1e-9
    fewest = counts[real].min()
    at = int(np.argmax(np.where(real & (counts == fewest), widths, -1)))
    return Found(int(fewest), abs(worth), worth, float(starts[at] + ends[at]) / 2)


def sweep(table: Table, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
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


def significant(number: float, digits: int = 6) -> float:
    """As many digits as are worth writing down."""
    return float(f"{number:.{digits}g}")
