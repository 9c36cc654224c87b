"""The block bootstrap says what repeated sampling would show."""

import math

import numpy as np
import pytest

from charlm.inference.scoring.bootstrap import ratio_error, resample, spread
from charlm.metrics import Blocks

CHANCE = np.random.default_rng(1)
SIZES = np.arange(1, 40)


def drawn(count: int) -> Blocks:
    sizes = CHANCE.choice(SIZES, count)
    return Blocks.of((CHANCE.normal(2.5, 0.4, count) * sizes).tolist(), sizes.tolist())


def test_its_standard_error_is_what_repeated_sampling_shows() -> None:
    texts = [drawn(60) for _ in range(300)]
    means = [sum(text.nll) / sum(text.tokens) for text in texts]
    claimed = np.mean([spread(resample(text)).se for text in texts[:60]])
    assert claimed == pytest.approx(np.std(means, ddof=1), rel=0.1)


def test_its_interval_holds_the_truth_as_often_as_it_says() -> None:
    spreads = [spread(resample(drawn(60))) for _ in range(300)]
    held = sum(found.low < 2.5 < found.high for found in spreads) / len(spreads)
    assert 0.90 < held < 0.98


def test_it_agrees_with_the_ratio_estimator() -> None:
    blocks = drawn(400)
    claimed = ratio_error(np.array(blocks.nll), np.array(blocks.tokens))
    assert spread(resample(blocks)).se == pytest.approx(claimed, rel=0.06)


def test_moods_that_outlast_a_block_count_once() -> None:
    """Blocks in runs of eight of one mood are worth an eighth as many."""
    moods = CHANCE.normal(2.5, 0.4, 400).repeat(8)
    blocks = Blocks.of((moods * 256).tolist(), [256] * len(moods))
    apart = ratio_error(np.array(blocks.nll), np.array(blocks.tokens))
    assert apart == pytest.approx(0.4 / math.sqrt(3200), rel=0.1)
    assert spread(resample(blocks)).se == pytest.approx(0.4 / math.sqrt(400), rel=0.2)


def test_joined_blocks_keep_the_standard_error() -> None:
    blocks = drawn(16_000)
    assert len(blocks) <= 4096
    uneven = math.sqrt(np.mean(SIZES**2)) / np.mean(SIZES)
    assert spread(resample(blocks)).se == pytest.approx(uneven * 0.4 / math.sqrt(16_000), rel=0.25)


def test_a_seed_gives_the_same_and_another_one_another() -> None:
    blocks = drawn(10)
    assert (resample(blocks, 1) == resample(blocks, 1)).all()
    assert (resample(blocks, 1) != resample(blocks, 2)).any()


@pytest.mark.parametrize("blocks", [Blocks(), Blocks.of([3.0], [2])])
def test_fewer_than_two_blocks_have_no_spread(blocks: Blocks) -> None:
    found = spread(resample(blocks))
    assert all(map(math.isnan, (found.se, found.low, found.high)))


def test_values_beyond_all_numbers_have_no_spread() -> None:
    assert math.isnan(spread(np.array([1.0, math.inf])).se)
