"""Figures follow from sums by their definitions, and scores add."""

import math
import random

import pytest

from charlm.metrics import Score

FOUR = Score(nll=4 * math.log(8), tokens=4, chars=6, bytes=8, words=2, oov=1, oov_nll=math.log(64))


def test_figures_follow_from_their_definitions() -> None:
    assert FOUR.mean_nll == pytest.approx(math.log(8))
    assert FOUR.perplexity == pytest.approx(8)
    assert FOUR.char_perplexity == pytest.approx(8 ** (4 / 6))
    assert FOUR.word_perplexity == pytest.approx(8**2)
    assert FOUR.bpc == pytest.approx(12 / 6)
    assert FOUR.bpb == pytest.approx(12 / 8)


def test_perplexity_without_unknown_tokens_leaves_out_them_and_their_nll() -> None:
    assert FOUR.perplexity_without_oov == pytest.approx((8**4 / 64) ** (1 / 3))


def test_scores_add_field_by_field() -> None:
    both = FOUR + FOUR
    assert (both.tokens, both.chars, both.oov) == (8, 12, 2)
    assert both.perplexity == pytest.approx(FOUR.perplexity)
    assert sum([FOUR, FOUR], start=Score()) == both


def test_nothing_has_no_figures() -> None:
    assert all(math.isnan(x) for x in (Score().perplexity, Score().bpc, Score().perplexity_se))


def test_a_hopeless_model_has_infinite_perplexity_not_an_error() -> None:
    assert Score(nll=1e6, tokens=1).perplexity == math.inf


def blocks(sums: list[float], size: int) -> Score:
    return Score(
        nll=sum(sums), tokens=size * len(sums), blocks=len(sums),
        block_nll_squares=sum(s * s for s in sums), block_nll_tokens=sum(s * size for s in sums),
        block_token_squares=size * size * len(sums),
    )  # fmt: skip


def test_standard_error_of_equal_blocks_is_that_of_their_means() -> None:
    sums = [10.0, 12.0, 14.0, 16.0]
    means = [s / 5 for s in sums]
    mean = sum(means) / 4
    expected = (sum((m - mean) ** 2 for m in means) / 3 / 4) ** 0.5
    assert blocks(sums, 5).mean_nll_se == pytest.approx(expected)
    assert blocks(sums, 5).perplexity_se == pytest.approx(math.exp(mean) * expected)


def test_standard_error_is_what_repeated_sampling_shows() -> None:
    generator = random.Random(1)
    scores = [blocks([generator.gauss(50, 5) for _ in range(40)], 20) for _ in range(300)]
    means = [score.mean_nll for score in scores]
    spread = (sum((m - sum(means) / 300) ** 2 for m in means) / 299) ** 0.5
    claimed = sum(score.mean_nll_se for score in scores) / 300
    assert claimed == pytest.approx(spread, rel=0.1)


def test_one_block_has_no_standard_error() -> None:
    assert math.isnan(blocks([10.0], 5).mean_nll_se)
