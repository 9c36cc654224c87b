"""Tables of whole numbers: sigmoid, tanh and exponential, equal on every machine.

A table of scale s holds ``round(f(x) * 2**s)``.
"""

import hashlib
import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import NamedTuple

import numpy as np

from charlm.errors import ModelError

__all__ = ["FLAT", "GATE", "INPUT", "LOGIT", "ODDS", "Tables", "tables"]

GATE = 16
"""The scale of sigmoid and tanh."""

INPUT = 12
"""Sigmoid and tanh are tabulated at multiples of 2**-INPUT, from -FLAT to FLAT."""

FLAT = 12
"""Beyond it, sigmoid and tanh do not change any more."""

LOGIT = 8
"""Logits are multiples of 2**-LOGIT, which costs a millionth of a bit per token."""

ODDS = 30
"""The scale of exp(-x), which is tabulated until it is zero."""

DIGEST = "c64c0008"
"""The beginning of the SHA-256 over all tables."""


class Tables(NamedTuple):
    """All tables, in float64, so that their numbers can be multiplied."""

    sigmoid: np.ndarray
    """At -FLAT, -FLAT + 2**-INPUT, ..., FLAT."""

    tanh: np.ndarray
    """At -FLAT, -FLAT + 2**-INPUT, ..., FLAT."""

    odds: np.ndarray
    """exp(-k * 2**-LOGIT) for k = 0, 1, ...; the last one is zero."""


@cache
def tables() -> Tables:
    """All tables.  Raises ``ModelError`` where the mathematical library rounds otherwise.

    That takes an error of a millionth of the last place of a double; no library is known to do it.
    """
    found = compute()
    digest = hashlib.sha256(b"".join(table.astype("<i8").tobytes() for table in found))
    if not digest.hexdigest().startswith(DIGEST):
        raise ModelError(
            "the exponential function of this machine gives other numbers than everywhere else",
            "compress and decompress on another machine",
        )
    return found


def compute() -> Tables:
    """The tables as this machine computes them, one number at a time."""
    points = [step / (1 << INPUT) for step in range(-FLAT << INPUT, (FLAT << INPUT) + 1)]
    last = math.ceil((ODDS + 1) * math.log(2) * (1 << LOGIT))
    return Tables(
        rounded(lambda x: 1 / (1 + math.exp(-x)), points, GATE),
        rounded(math.tanh, points, GATE),
        rounded(lambda x: math.exp(-x), [step / (1 << LOGIT) for step in range(last + 1)], ODDS),
    )


def rounded(function: Callable[[float], float], points: Iterable[float], scale: int) -> np.ndarray:
    """``function`` at ``points`` in whole steps of 2**-scale."""
    return np.array([float(round(math.ldexp(function(x), scale))) for x in points])
