"""How sure a ratio of sums is: the bootstrap over blocks of neighbouring units.

Neighbouring tokens and lines are not independent, so blocks are drawn instead of units (Künsch
1989).  The percentile interval is widened as Hesterberg 2015 (arXiv:1411.5279, section 6.1)
proposes, because with few blocks the plain one is too narrow.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from charlm.inference.scoring.bootstrap import draw_ratios, join_dependent

__all__ = ["LEVEL", "MOST_BLOCKS", "BlockSums", "Estimate", "estimate_ratio"]

LEVEL = 0.95
RESAMPLES = 10_000
SEED = 1
MOST_BLOCKS = 2048
"""More are joined two by two, so that memory and time do not grow with the text."""


@dataclass(frozen=True)
class Estimate:
    """A figure with the interval it lies in; the interval is NaN for fewer than two blocks."""

    value: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Estimate":
        """The same in another unit; ``factor`` is positive."""
        return Estimate(self.value * factor, self.low * factor, self.high * factor)


class BlockSums:
    """Sums of units over blocks of about ``size``, measured in whatever the lengths are in.

    A unit belongs to the block in which it begins, so none is ever divided.
    """

    def __init__(self, size: int, columns: int) -> None:
        self.size = size
        self.position = 0
        self.sums = np.zeros((MOST_BLOCKS, columns))

    def add(self, lengths: np.ndarray, values: np.ndarray) -> None:
        """Add units of ``lengths`` (n,), whole numbers, with ``values`` (n, columns)."""
        ends = self.position + np.cumsum(lengths)
        starts = ends - lengths
        while len(starts) and starts[-1] >= MOST_BLOCKS * self.size:
            self.join()
        np.add.at(self.sums, starts // self.size, values)
        self.position = int(ends[-1]) if len(ends) else self.position

    def join(self) -> None:
        """Make one block of every two."""
        self.sums[: MOST_BLOCKS // 2] = self.sums[0::2] + self.sums[1::2]
        self.sums[MOST_BLOCKS // 2 :] = 0
        self.size *= 2

    def blocks(self, ratio: int, weight: int) -> tuple[np.ndarray, int]:
        """The blocks (n, columns) with something in the column ``weight``, and their size.

        Neighbours are joined as ``join_dependent`` does by ``ratio`` over ``weight``.
        """
        joined, times = join_dependent(self.sums[self.sums[:, weight] > 0], ratio, weight)
        return joined, self.size << times


def estimate_ratio(numerators: np.ndarray, denominators: np.ndarray) -> Estimate:
    """Sum of ``numerators`` (n,) over sum of ``denominators`` (n,), whose blocks are drawn anew.

    The same blocks always give the same interval.
    """
    blocks = len(numerators)
    if not blocks:
        return Estimate(math.nan, math.nan, math.nan)
    value = float(numerators.sum() / denominators.sum())
    if blocks == 1:
        return Estimate(value, math.nan, math.nan)
    ratios = draw_ratios(numerators, denominators, RESAMPLES, np.random.default_rng(SEED))
    tail = tail_share(blocks)
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


def tail_share(blocks: int) -> float:
    """The share of resamples left out on each side, so that the interval is as wide as a t one."""
    z, freedom = NormalDist().inv_cdf((1 + LEVEL) / 2), blocks - 1
    # The quantile of Student's t by its series in 1 / freedom (Abramowitz and Stegun 26.7.5).
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return NormalDist().cdf(-math.sqrt(blocks / freedom) * t)
