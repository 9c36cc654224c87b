"""How far a figure may be from what longer text of the kind would give: Student's t over blocks.

Neighbouring tokens are correlated, so the unit is a block of neighbouring text (the method of
batch means, Schmeiser 1982).  A figure is the ratio of two sums over blocks; its standard error is
that of the ratio estimator (Cochran 1977, Sampling techniques, section 6.4), and its interval has
Student's quantile for as many blocks as there are.  For normally distributed blocks such an
interval holds the truth in 95 % of cases from two blocks on, where percentiles of a bootstrap over
the same blocks do so in 47 % (two blocks), 83 % (five) and 89 % (ten).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from charlm.metrics import Blocks, exponential

__all__ = ["LEVEL", "Estimate", "estimate_mean", "estimate_nll", "estimate_ratio", "join_blocks"]

LEVEL = 0.95
"""The share of cases in which an interval holds the truth."""

LEAST_BLOCKS = 50
"""Blocks left at least when neighbours are joined: fewer would not tell how much they vary."""

MOST_FREEDOM = 1000
"""Degrees of freedom from which on the quantile hardly changes (by 0.1 % up to infinity)."""

BISECTIONS = 50
"""Halvings of the interval that holds a quantile: more than a float's precision asks for."""


@dataclass(frozen=True)
class Estimate:
    """A figure, its standard error and the ends of its 95 % interval; NaN where unknown.

    ``freedom`` is the number of degrees of freedom: blocks less one.
    """

    value: float
    se: float = math.nan
    low: float = math.nan
    high: float = math.nan
    freedom: int = 0

    def scaled(self, factor: float) -> "Estimate":
        """The figure in another unit; ``factor`` is positive."""
        value, se, low, high = (x * factor for x in (self.value, self.se, self.low, self.high))
        return Estimate(value, se, low, high, self.freedom)

    def exponential(self) -> "Estimate":
        """The perplexity of a mean nll in nats; its standard error by the delta method.

        All but the value are NaN where the perplexity overflows.
        """
        value = exponential(self.value)
        if math.isinf(value):
            return Estimate(value)
        low, high = exponential(self.low), exponential(self.high)
        return Estimate(value, value * self.se, low, high, self.freedom)


def estimate_ratio(numerators: np.ndarray, denominators: np.ndarray) -> Estimate:
    """The sum of ``numerators`` (n,) over the sum of ``denominators`` (n,), each from one block.

    The value is NaN without blocks; all else is NaN for fewer than two.
    """
    blocks = len(numerators)
    if not blocks:
        return Estimate(math.nan)
    value = float(numerators.sum() / denominators.sum())
    if blocks < 2:
        return Estimate(value)
    return interval(value, ratio_error(numerators, denominators), blocks - 1)


def estimate_nll(blocks: Blocks) -> Estimate:
    """The mean nll in nats per token; neighbouring blocks are joined as ``join_blocks`` does."""
    joined, _ = join_blocks(blocks)
    return estimate_ratio(*joined)


def estimate_mean(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of figures of independent texts, each counting alike.

    The degrees of freedom are those of Welch and Satterthwaite (Satterthwaite 1946), rounded down.
    All but the value are NaN where the error of one of the figures is unknown.
    """
    count = len(estimates)
    value = sum(each.value for each in estimates) / count
    variances = [each.se**2 for each in estimates]
    total = sum(variances)
    if not math.isfinite(total):
        return Estimate(value)
    parts = zip(variances, estimates, strict=True)
    squares = sum(variance**2 / each.freedom for variance, each in parts)
    freedom = int(total**2 / squares) if squares else min(each.freedom for each in estimates)
    return interval(value, math.sqrt(total) / count, max(freedom, 1))


def interval(value: float, se: float, freedom: int) -> Estimate:
    """The estimate with its interval, symmetric around the value."""
    half = student_quantile(freedom) * se
    return Estimate(value, se, value - half, value + half, freedom)


def join_blocks(blocks: Blocks) -> tuple[np.ndarray, int]:
    """Sums (2, n) of nll and tokens by block, and how often neighbours were joined two by two.

    Blocks of correlated text vary less than independent ones, so a standard error over them is
    too small.  Neighbours are joined as long as that makes the error larger and ``LEAST_BLOCKS``
    are left (Flyvbjerg and Petersen 1989, Error estimates on averages of correlated data).
    """
    tried = [np.array([blocks.nll, blocks.tokens], dtype=np.float64)]
    while tried[-1].shape[1] >= 2 * LEAST_BLOCKS:
        firsts = np.arange(0, tried[-1].shape[1] - 1, 2)  # an odd last block joins the pair before
        tried.append(np.add.reduceat(tried[-1], firsts, axis=1))
    times = int(np.argmax([ratio_error(*sums) for sums in tried]))
    return tried[times], times


def ratio_error(numerators: np.ndarray, denominators: np.ndarray) -> float:
    """The standard error of the ratio of sums over blocks (n,); 0 for fewer than two."""
    blocks = len(numerators)
    if blocks < 2:
        return 0.0
    rest = numerators - denominators * (numerators.sum() / denominators.sum())
    return math.sqrt(float(rest @ rest) * blocks / (blocks - 1)) / float(denominators.sum())


@cache
def student_quantile(freedom: int) -> float:
    """What Student's t exceeds in size in 1 - ``LEVEL`` of cases, by bisection."""
    low, high = 0.0, math.pi / 2  # of the angle whose tangent is t / sqrt(freedom)
    freedom = min(freedom, MOST_FREEDOM)
    for _ in range(BISECTIONS):
        angle = (low + high) / 2
        inside = student_share(angle, freedom) < LEVEL
        low, high = (angle, high) if inside else (low, angle)
    return math.sqrt(freedom) * math.tan(low)


def student_share(angle: float, freedom: int) -> float:
    """The probability that |t| < sqrt(freedom) * tan(angle).

    Abramowitz and Stegun 1964, Handbook of mathematical functions, 26.7.3 and 26.7.4.
    """
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = term if freedom > 1 else 0.0
    for power in range(2 + odd, freedom - 1, 2):
        term *= math.cos(angle) ** 2 * (power - 1) / power
        total += term
    total *= math.sin(angle)
    return 2 / math.pi * (angle + total) if odd else total
