"""What the processor can do at best, measured: the roofline that speeds are a share of.

Williams, Waterman and Patterson 2009.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from charlm.model import native
from charlm.model.native.library import Probe, addresses

__all__ = ["READ_SIZES", "Limits", "measure_limits"]

READ_SIZES = (1 << 19, 1 << 22, 1 << 24, 1 << 27)
"""Bytes read again and again: within the second-level cache, the third, and far beyond both."""

AT_ONCE = 0.0005
"""Seconds that a measurement takes, about: short, so that a busy machine spoils few of them."""


@dataclass(frozen=True)
class Limits:
    """Rates with a number of threads."""

    threads: int
    products: float
    """FLOP a second in float32, a multiplication and an addition counted as two."""
    reads: dict[int, float]
    """Size in bytes -> bytes a second."""

    def read_rate(self, size: int) -> float:
        """Bytes a second for so many bytes: as the next larger size that was measured."""
        fitting = [known for known in self.reads if known >= size]
        return self.reads[min(fitting, default=max(self.reads))]


def measure_limits(threads: int = 1, rounds: int = 25) -> Limits:
    """Medians over rounds; by torch's operations where there is no native library."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        reads = {size: measure_reads(size, rounds) for size in READ_SIZES}
        return Limits(threads, measure_products(threads, rounds), reads)
    finally:
        torch.set_num_threads(before)


def measure_products(threads: int, rounds: int) -> float:
    """FLOP a second."""
    kernels = native.kernels()
    if kernels is None:
        a = torch.ones(512, 512)
        return float(2 * 512**3 / median_seconds(lambda: a @ a, rounds))
    turns, numbers = 10_000, torch.ones(2)
    work = probe(kernels.probe_products, numbers, turns)
    return 2 * 16 * kernels.width * turns * threads / median_seconds(work, rounds)


def measure_reads(size: int, rounds: int) -> float:
    """Bytes a second of reading so many again and again."""
    kernels, numbers = native.kernels(), torch.ones(size // 4)
    if kernels is None:
        return size / median_seconds(numbers.sum, rounds)
    turns = max(1, READ_SIZES[-2] // size)
    return size * turns / median_seconds(probe(kernels.probe_reads, numbers, turns), rounds)


def probe(
    kernel: Callable[[Probe], None], numbers: torch.Tensor, repeats: int
) -> Callable[[], None]:
    """One call of a probe on torch's threads."""
    kernels = native.kernels()
    assert kernels is not None
    sums = torch.zeros(torch.get_num_threads())

    def work() -> None:
        given = addresses({"numbers": numbers, "sums": sums})
        kernel(Probe(kernels.team(len(sums)), numbers.numel(), repeats, **given))

    return work


def median_seconds(work: Callable[[], object], rounds: int) -> float:
    """Seconds of one call; short ones are repeated so that the clock does not matter."""
    work()
    start = time.perf_counter()
    work()
    repeats = max(1, int(AT_ONCE / max(time.perf_counter() - start, 1e-7)))
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        times.append((time.perf_counter() - start) / repeats)
    return statistics.median(times)
