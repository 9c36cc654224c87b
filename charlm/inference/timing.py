"""Time several ways of doing one kind of work in turns, so that a busy machine disturbs all alike.

A rate is the median over the rounds; a ratio is the median over the rounds of the ratio within a
round, which is steadier than the ratio of two medians.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from charlm.model import native

__all__ = ["PEER", "Timing", "Way", "compare_ways", "without_native"]

PEER = "nn.LSTM"
"""Name of the way that the others are compared with: usual PyTorch code."""


@dataclass(frozen=True)
class Way:
    """One way of doing some work; each ``call`` works on so many ``tokens``."""

    call: Callable[[], object]
    tokens: int


@dataclass(frozen=True)
class Timing:
    """The speed of one way: tokens per second, and the ratio of that to the peer's.

    A ratio above 1 means faster than the peer.
    """

    tokens_per_second: float
    ratio: float


def compare_ways(ways: dict[str, Way], rounds: int, peer: str = PEER) -> dict[str, Timing]:
    """Time all ways, each once a round, after one round to warm up.

    Ratios are to the way called ``peer``.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}  # of one token
    for done in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way.call()
            if done:
                seconds[name].append((time.perf_counter() - start) / way.tokens)
    timings = {}
    for name, own in seconds.items():
        ratios = [other / one for other, one in zip(seconds[peer], own, strict=True)]
        timings[name] = Timing(1 / statistics.median(own), statistics.median(ratios))
    return timings


def without_native(make: Callable[[], Way]) -> Way:
    """The way that ``make`` gives, made and called with the native path switched off."""
    chosen = native.kernels

    def switched(work: Callable[[], Any]) -> Any:
        native.kernels = lambda test=None: None
        try:
            return work()
        finally:
            native.kernels = chosen

    way: Way = switched(make)
    return Way(lambda: switched(way.call), way.tokens)
