"""Correlations of many series with one feature, and what chance alone reaches among them.

Shapes: T tokens of a half of a text, K series, S shifts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charlm.errors import CorpusError, counted
from charlm.inference.scoring.uncertainty import LEVEL

__all__ = ["Chance", "Half", "chance_level", "split_in_halves"]

MOST_SHIFTS = 199
"""Shifts at most: the 95 % quantile is then the tenth largest value."""

FEWEST_SHIFTS = 19
"""Shifts at least: the 95 % quantile is then the largest value."""

SHIFT = 64
"""Tokens between two shifts at least."""


class Half:
    """Half of a text: its feature, shifted in a circle by S amounts, and sums over K series.

    A shifted feature has nothing to do with the series, but is correlated with itself as the
    feature is; shuffled, it would not be, and chance would seem to reach less than it does.
    """

    def __init__(self, begin: int, feature: np.ndarray, shifts: int) -> None:
        """``feature`` (T,) belongs to the tokens from ``begin`` on; it is not constant."""
        self.begin, self.end = begin, begin + len(feature)
        self.feature = (feature - feature.mean()) / feature.std()
        self.offsets = np.arange(shifts + 1) * len(feature) // (shifts + 1)
        self.cross, self.sums, self.squares = 0.0, 0.0, 0.0

    def add(self, begin: int, series: np.ndarray) -> None:
        """Count series (n, K) at the tokens of the text from ``begin`` on."""
        series = series.astype(np.float64)
        places = begin - self.begin + np.arange(len(series))
        shifted = self.feature[(places[:, None] + self.offsets) % len(self.feature)]
        self.cross = self.cross + series.T @ shifted
        self.sums = self.sums + series.sum(axis=0)
        self.squares = self.squares + (series**2).sum(axis=0)

    def correlations(self) -> np.ndarray:
        """Pearson's correlation of each series with the feature, and with each of its shifts:
        (K, 1 + S); 0 for a series that does not change.
        """
        tokens = len(self.feature)
        deviation = np.sqrt(np.maximum(self.squares / tokens - (self.sums / tokens) ** 2, 0))
        moving = deviation > 1e-6
        scale = np.where(moving, tokens * deviation, np.inf)
        found: np.ndarray = self.cross / scale[:, None]
        return found


@dataclass(frozen=True)
class Chance:
    """What the best of all series reaches by chance on the first half of a text in 95 % of cases at
    most, and what the one so chosen then reaches on the second; absolute correlations.
    """

    first: float
    held_out: float
    shifts: int

    def beaten_by(self, first: float, held_out: float) -> bool:
        """Whether a series' correlations on the two halves have one sign and are both beyond."""
        beyond = abs(first) > self.first and abs(held_out) > self.held_out
        return beyond and first * held_out > 0


def chance_level(first: np.ndarray, second: np.ndarray) -> Chance:
    """The chance level from correlations (K, 1 + S) of two halves, by the shifts alone.

    With each shift the series is chosen that is best on the first half, as with the feature itself.
    """
    first, second = np.abs(first[:, 1:]), np.abs(second[:, 1:])
    best, shifts = first.argmax(axis=0), np.arange(first.shape[1])
    rank = math.ceil(LEVEL * (len(shifts) + 1)) - 1
    reached = [float(np.sort(half[best, shifts])[rank]) for half in (first, second)]
    return Chance(reached[0], reached[1], len(shifts))


def split_in_halves(feature: np.ndarray, name: str) -> Sequence[Half]:
    """The halves of a text with its feature (T,).

    Raises ``CorpusError`` for a text that is too short, and for a feature that does not change in
    one of the halves.
    """
    middle = len(feature) // 2
    shifts = min(MOST_SHIFTS, middle // SHIFT - 1)
    if shifts < FEWEST_SHIFTS:
        raise CorpusError(
            f"a text of {counted(len(feature), 'token')} is too short to tell a unit from chance",
            f"give one of {2 * SHIFT * (FEWEST_SHIFTS + 1):,} tokens or more",
        )
    parts = (feature[:middle], feature[middle:])
    for which, part in zip(("first", "second"), parts, strict=True):
        if part.min() == part.max():
            raise CorpusError(
                f"{name} does not change over the {which} half of this text",
                "give another feature, or a longer text",
            )
    return [Half(0, parts[0], shifts), Half(middle, parts[1], shifts)]
