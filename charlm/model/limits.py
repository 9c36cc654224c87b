"""The highest speeds of the processor, measured: the roofline model.

Williams, Waterman and Patterson 2009 bound the speed of a program by the rates of arithmetic and
of reading memory, whichever takes longer.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from charlm.model import native
from charlm.model.native.library import ProbeJob, addresses

__all__ = ["READ_SIZES", "Limits", "measure_limits"]

READ_SIZES = (1 << 19, 1 << 22, 1 << 24, 1 << 27)
"""Bytes that are read repeatedly: within the second-level cache, the third, beyond both."""

AT_ONCE = 0.0005
"""Approximate seconds of one measurement: short, so that other programs disturb few of them."""

PROBE_VECTORS = 16
"""Vectors to which the probe of the arithmetic adds a product in each turn (``probes.h``)."""

TURNS = 10_000
"""Turns of that probe in one call."""


@dataclass(frozen=True)
class Limits:
    """Highest rates of arithmetic and of reading with a number of threads."""

    threads: int
    products: float
    """FLOP per second in float32; a multiplication with an addition counts as two."""
    reads: dict[int, float]
    """Bytes that are read repeatedly -> bytes per second."""

    def read_rate(self, size: int) -> float:
        """Bytes per second of reading ``size`` bytes: that of the next larger measured size."""
        fitting = [known for known in self.reads if known >= size]
        return self.reads[min(fitting, default=max(self.reads))]

    def seconds(self, arithmetic: float, reads: float, size: int) -> dict[str, float]:
        """Least seconds for ``arithmetic`` in FLOP and for ``reads`` in bytes out of ``size``."""
        return {"arithmetic": arithmetic / self.products, "reading": reads / self.read_rate(size)}


def measure_limits(threads: int = 1, rounds: int = 25) -> Limits:
    """Measure the limits of so many threads, each the median over ``rounds``.

    Without the native library, torch's own product and sum are measured instead of bare loops.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        reads = {size: measure_reads(size, rounds) for size in READ_SIZES}
        return Limits(threads, measure_products(threads, rounds), reads)
    finally:
        torch.set_num_threads(before)


def measure_products(threads: int, rounds: int) -> float:
    """FLOP per second of multiplying and adding in registers."""
    kernels = native.kernels()
    if kernels is None:
        a = torch.ones(512, 512)
        return float(2 * 512**3 / median_seconds(lambda: a @ a, rounds))
    work = probe(kernels.probe_products, torch.ones(2), TURNS, torch.zeros(threads))
    return probe_flop(kernels.width, TURNS, threads) / median_seconds(work, rounds)


def probe_flop(width: int, turns: int, threads: int) -> int:
    """FLOP of a call of the probe of arithmetic, with vectors of ``width`` floats."""
    return 2 * PROBE_VECTORS * width * turns * threads


def measure_reads(size: int, rounds: int) -> float:
    """Bytes per second of reading ``size`` bytes repeatedly."""
    kernels, numbers = native.kernels(), torch.ones(size // 4)
    if kernels is None:
        return size / median_seconds(numbers.sum, rounds)
    turns = max(1, READ_SIZES[-2] // size)
    work = probe(kernels.probe_reads, numbers, turns, torch.zeros(torch.get_num_threads()))
    return size * turns / median_seconds(work, rounds)


def probe(
    kernel: Callable[[ProbeJob], None], numbers: torch.Tensor, repeats: int, sums: torch.Tensor
) -> Callable[[], None]:
    """A function that calls a probe once, with a thread of torch's for each of ``sums``."""
    kernels = native.kernels()
    assert kernels is not None

    def work() -> None:
        given = addresses({"numbers": numbers, "sums": sums})
        kernel(ProbeJob(kernels.team(len(sums)), numbers.numel(), repeats, **given))

    return work


def median_seconds(work: Callable[[], object], rounds: int) -> float:
    """Median seconds of one call; short calls are repeated to be long beside the clock's step."""
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
