"""Tables of whole numbers: sigmoid, tanh and exponential, the same on every machine.

A table of scale s holds ``round(f(x) * 2**s)``.
"""

import hashlib
import math
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np

from charlm.errors import ModelError

__all__ = ["FLAT", "GATE", "INPUT", "LOGIT", "ODDS", "digest", "odds", "sigmoid", "tanh"]

GATE = 16
"""The scale of sigmoid and tanh."""

INPUT = 12
"""They are tabulated at multiples of 2**-INPUT, from -FLAT to FLAT; beyond, they are flat."""

FLAT = 12
LOGIT = 8
"""Logits are multiples of 2**-LOGIT, which costs a millionth of a bit per token."""

ODDS = 30
"""The scale of exp(-x), which is tabulated until it is zero."""

DIGEST = "c64c0008"
"""The beginning of the SHA-256 over all tables."""


def sigmoid() -> np.ndarray:
    """At -FLAT, -FLAT + 2**-INPUT, ..., FLAT: float64, so that it can be multiplied."""
    return tables()[0]


def tanh() -> np.ndarray:
    """The same for tanh."""
    return tables()[1]


def odds() -> np.ndarray:
    """exp(-k * 2**-LOGIT) for k = 0, 1, ...; the last one is zero."""
    return tables()[2]


@cache
def tables() -> tuple[np.ndarray, ...]:
    """All tables.  Raises ``ModelError`` where the mathematical library rounds otherwise.

    That takes an error of a millionth of the last place of a double; no library is known to do it.
    """
    found = compute()
    if digest(found)[: len(DIGEST)] != DIGEST:
        raise ModelError(
            "the exponential function of this machine gives other numbers than everywhere else",
            "compress and decompress on another machine",
        )
    return found


def compute() -> tuple[np.ndarray, ...]:
    """The tables as this machine computes them, one number at a time."""
    points = [step / (1 << INPUT) for step in range(-FLAT << INPUT, (FLAT << INPUT) + 1)]
    last = math.ceil((ODDS + 1) * math.log(2) * (1 << LOGIT))
    return (
        rounded(lambda x: 1 / (1 + math.exp(-x)), points, GATE),
        rounded(math.tanh, points, GATE),
        rounded(lambda x: math.exp(-x), [step / (1 << LOGIT) for step in range(last + 1)], ODDS),
    )


def rounded(function: Callable[[float], float], points: Iterable[float], scale: int) -> np.ndarray:
    """``function`` at ``points`` in whole steps of 2**-scale."""
    return np.array([float(round(math.ldexp(function(x), scale))) for x in points])


def digest(found: Iterable[np.ndarray]) -> str:
    """SHA-256, in hex, over the numbers."""
    return hashlib.sha256(b"".join(table.astype("<i8").tobytes() for table in found)).hexdigest()
