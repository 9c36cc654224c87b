"""Intervals hold the truth as often as they say, because neighbours are drawn together."""

import math

import numpy as np
import pytest

from charlm.inference.scoring.intervals import LEVEL, MOST_BLOCKS, BlockSums, estimate_ratio


def series(generator: np.random.Generator, length: int, memory: float) -> np.ndarray:
    """Skewed numbers (length,) of mean 1 that remember what came before."""
    noise = generator.exponential(size=length)
    for at in range(1, length):
        noise[at] = memory * noise[at - 1] + (1 - memory) * noise[at]
    return noise


def coverage(blocks: int, size: int, memory: float, repeats: int) -> float:
    """How often the interval over blocks of so many numbers holds the mean."""
    generator = np.random.default_rng(3)
    held = 0
    for _ in range(repeats):
        sums = BlockSums(size, columns=2)
        values = series(generator, blocks * size, memory)
        sums.add(np.ones(len(values), dtype=int), np.stack([values, np.ones(len(values))], axis=1))
        found, _ = sums.blocks(ratio=0, weight=1)
        estimate = estimate_ratio(found[:, 0], found[:, 1])
        held += estimate.low <= 1 <= estimate.high
    return held / repeats


@pytest.mark.parametrize("blocks", [12, 50])
def test_the_interval_holds_the_truth_as_often_as_it_says(blocks: int) -> None:
    assert coverage(blocks, 40, memory=0.8, repeats=250) == pytest.approx(LEVEL, abs=0.04)


def test_blocks_of_one_would_promise_too_much() -> None:
    assert coverage(99, 1, memory=0.8, repeats=60) < 0.75  # too few to be joined


def test_moods_that_outlast_a_block_are_noticed() -> None:
    moods = np.repeat(np.random.default_rng(5).normal(size=100), 1600)
    sums = BlockSums(100, columns=2)
    sums.add(np.ones(len(moods), dtype=int), np.stack([moods, np.ones(len(moods))], axis=1))
    blocks, size = sums.blocks(ratio=0, weight=1)
    assert size in (1600, 3200)
    assert len(blocks) == len(moods) // size
    assert blocks.sum(axis=0) == pytest.approx([moods.sum(), len(moods)])


def test_independent_units_keep_their_interval() -> None:
    """Trying several sizes must not widen what was right."""
    generator = np.random.default_rng(9)
    held = 0
    for _ in range(100):
        sums = BlockSums(10, columns=2)
        sums.add(np.full(400, 10), np.stack([generator.normal(size=400), np.ones(400)], axis=1))
        blocks, _ = sums.blocks(ratio=0, weight=1)
        found = estimate_ratio(blocks[:, 0], blocks[:, 1])
        held += found.low <= 0 <= found.high
    assert held >= 90


def test_the_interval_of_a_mean_is_that_of_student() -> None:
    values = np.random.default_rng(1).normal(size=10)
    found = estimate_ratio(values, np.ones(10))
    half = 2.262157 * values.std(ddof=1) / math.sqrt(10)  # t of 9 degrees of freedom
    assert found.value == pytest.approx(values.mean())
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_nothing_and_one_block_have_no_interval() -> None:
    assert math.isnan(estimate_ratio(np.empty(0), np.empty(0)).value)
    one = estimate_ratio(np.array([3.0]), np.array([2.0]))
    assert one.value == 1.5
    assert math.isnan(one.low)
    assert math.isnan(one.high)


def test_equal_blocks_have_an_interval_of_no_width() -> None:
    found = estimate_ratio(np.zeros(20), np.ones(20))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_memory_is_bounded_and_no_unit_is_lost() -> None:
    sums = BlockSums(4, columns=2)
    generator = np.random.default_rng(2)
    total, parts = np.zeros(2), 0
    for _ in range(30):
        lengths = generator.integers(1, 200, size=1000)
        values = np.stack([generator.normal(size=1000), np.ones(1000)], axis=1)
        sums.add(lengths, values)
        total += values.sum(axis=0)
        parts += int(lengths.sum())
    assert sums.sums.shape == (MOST_BLOCKS, 2)
    assert sums.sums.sum(axis=0) == pytest.approx(total)
    assert MOST_BLOCKS / 2 < parts / sums.size <= MOST_BLOCKS


def test_the_way_units_come_in_does_not_matter() -> None:
    lengths = np.random.default_rng(4).integers(1, 90, size=5000)
    values = np.arange(5000.0)[:, None]
    whole, parts = BlockSums(16, columns=1), BlockSums(16, columns=1)
    whole.add(lengths, values)
    for begin in range(0, 5000, 700):
        parts.add(lengths[begin : begin + 700], values[begin : begin + 700])
    assert whole.size == parts.size
    np.testing.assert_allclose(whole.sums, parts.sums)
