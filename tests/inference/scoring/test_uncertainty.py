"""Intervals hold the truth as often as they say, and standard errors are those of textbooks."""

import math

import numpy as np
import pytest

from charlm.inference.scoring.uncertainty import (
    Estimate,
    estimate_mean,
    estimate_nll,
    estimate_ratio,
    join_blocks,
    student_quantile,
)
from charlm.metrics import Blocks

GENERATOR = np.random.default_rng(1)
SIZES = np.arange(1, 40)


def uneven(count: int) -> Blocks:
    """Blocks of several lengths whose tokens have 2.5 nats on average."""
    sizes = GENERATOR.choice(SIZES, count)
    return Blocks.of((GENERATOR.normal(2.5, 0.4, count) * sizes).tolist(), sizes.tolist())


def even(nats: np.ndarray) -> Blocks:
    """Blocks of one token each."""
    return Blocks.of(nats.tolist(), [1] * len(nats))


def coverage(estimates: list[Estimate], truth: float) -> float:
    """The share of intervals that hold the truth."""
    return sum(each.low <= truth <= each.high for each in estimates) / len(estimates)


@pytest.mark.parametrize("blocks", [2, 3, 5, 10, 50])
def test_an_interval_holds_the_truth_in_95_of_100_cases_however_few_blocks(blocks: int) -> None:
    estimates = [estimate_nll(even(nats)) for nats in GENERATOR.normal(2.5, 0.4, (2500, blocks))]
    assert coverage(estimates, 2.5) == pytest.approx(0.95, abs=0.014)


@pytest.mark.parametrize(("blocks", "least"), [(5, 0.86), (10, 0.88), (50, 0.92)])
def test_skewed_blocks_are_covered_nearly_as_often(blocks: int, least: float) -> None:
    estimates = [estimate_nll(even(nats)) for nats in GENERATOR.exponential(size=(1500, blocks))]
    assert least < coverage(estimates, 1) < 0.96


def test_an_interval_over_blocks_of_several_lengths_holds_the_truth_as_often() -> None:
    estimates = [estimate_nll(uneven(60)) for _ in range(1500)]
    assert coverage(estimates, 2.5) == pytest.approx(0.95, abs=0.02)


def test_correlated_blocks_are_joined_until_they_are_independent() -> None:
    """Blocks that remember the last ones: without joining half of the intervals would miss.

    91 of 100 intervals hold the truth in 1,500 trials; 400 of them differ from that by chance.
    """
    noise = np.random.default_rng(3).normal(size=(400, 1000))
    for at in range(1, noise.shape[1]):
        noise[:, at] += 0.8 * noise[:, at - 1]
    assert coverage([estimate_nll(even(2.5 + row)) for row in noise], 2.5) >= 0.89
    alone = [estimate_ratio(2.5 + row, np.ones(1000)) for row in noise]
    assert coverage(alone, 2.5) < 0.6


def test_independent_blocks_keep_their_interval() -> None:
    """Trying several lengths of blocks does not widen what was right by much."""
    found = [estimate_nll(even(nats)) for nats in GENERATOR.normal(size=(400, 400))]
    assert 0.93 < coverage(found, 0) < 0.99
    assert np.mean([each.se for each in found]) == pytest.approx(1 / 20, rel=0.1)


def test_blocks_in_runs_of_eight_equal_ones_count_an_eighth() -> None:
    nats = GENERATOR.normal(2.5, 0.4, 400).repeat(8)
    blocks = Blocks.of((nats * 256).tolist(), [256] * len(nats))
    assert estimate_nll(blocks).se == pytest.approx(0.4 / math.sqrt(400), rel=0.2)
    sums, times = join_blocks(blocks)
    assert times >= 3
    assert sums.sum(axis=1) == pytest.approx([256 * nats.sum(), 256 * len(nats)])


def test_a_standard_error_is_what_repeated_sampling_shows() -> None:
    texts = [uneven(60) for _ in range(600)]
    means = [sum(text.nll) / sum(text.tokens) for text in texts]
    claimed = np.mean([estimate_nll(text).se for text in texts])
    assert claimed == pytest.approx(np.std(means, ddof=1), rel=0.1)


def test_joined_blocks_keep_the_standard_error() -> None:
    blocks = uneven(16_000)
    assert len(blocks) <= 4096
    spread = math.sqrt(np.mean(SIZES**2)) / np.mean(SIZES)
    assert estimate_nll(blocks).se == pytest.approx(spread * 0.4 / math.sqrt(16_000), rel=0.25)


@pytest.mark.parametrize(
    ("freedom", "quantile"),
    [(1, 12.70620), (2, 4.30265), (4, 2.77645), (9, 2.26216), (30, 2.04227), (120, 1.97993)],
)
def test_the_quantiles_are_those_of_printed_tables(freedom: int, quantile: float) -> None:
    assert student_quantile(freedom) == pytest.approx(quantile, abs=2e-5)


def test_four_numbers_have_the_interval_of_the_textbook() -> None:
    found = estimate_ratio(np.array([1.0, 2.0, 3.0, 6.0]), np.ones(4))
    se = math.sqrt((4 + 1 + 0 + 9) / 3) / 2
    assert found == Estimate(
        3.0,
        pytest.approx(se),
        pytest.approx(3 - 3.182446 * se),
        pytest.approx(3 + 3.182446 * se),
        3,
    )


def test_a_ratio_of_uneven_blocks_has_the_error_of_the_ratio_estimator() -> None:
    found = estimate_ratio(np.array([2.0, 6.0]), np.array([1.0, 3.0]))
    assert (found.value, found.se) == (2.0, 0.0)
    found = estimate_ratio(np.array([3.0, 5.0]), np.array([1.0, 3.0]))
    assert found.value == 2.0
    assert found.se == pytest.approx(math.sqrt((1 + 1) * 2 / 1) / 4)  # residuals 1 and -1


def test_a_mean_of_texts_has_the_freedom_of_welch_and_satterthwaite() -> None:
    first, second = Estimate(2.0, 0.3, 0, 0, 4), Estimate(4.0, 0.4, 0, 0, 9)
    found = estimate_mean([first, second])
    assert (found.value, found.se) == (3.0, pytest.approx(0.25))
    assert found.freedom == int(0.25**2 / (0.09**2 / 4 + 0.16**2 / 9))
    assert found.high == pytest.approx(3 + student_quantile(found.freedom) * 0.25)
    assert math.isnan(estimate_mean([first, Estimate(1.0)]).se)
    certain = estimate_mean([Estimate(1.0, 0.0, 1.0, 1.0, 3)] * 2)
    assert (certain.low, certain.high) == (1.0, 1.0)


def test_a_perplexity_has_the_interval_of_its_logarithm() -> None:
    found = Estimate(math.log(8), 0.1, math.log(4), math.log(16), 5).exponential()
    assert (found.value, found.low, found.high) == pytest.approx((8, 4, 16))
    assert found.se == pytest.approx(0.8)
    assert math.isnan(Estimate(1e6, 1.0, 0.0, 2e6, 5).exponential().se)


@pytest.mark.parametrize("blocks", [Blocks(), Blocks.of([3.0], [2])])
def test_fewer_than_two_blocks_have_no_interval(blocks: Blocks) -> None:
    found = estimate_nll(blocks)
    assert all(map(math.isnan, (found.se, found.low, found.high)))
    assert math.isnan(found.value) == (not blocks)


def test_equal_blocks_have_an_interval_of_no_width() -> None:
    found = estimate_ratio(np.zeros(20), np.ones(20))
    assert (found.value, found.low, found.high) == (0, 0, 0)
