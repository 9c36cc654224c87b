"""Figures follow from sums by their definitions, and scores add."""

import math

import pytest

from charlm.metrics import Blocks, Score

FOUR = Score(nll=4 * math.log(8), tokens=4, chars=6, bytes=8, words=2, oov=1, oov_nll=math.log(64))


def test_figures_follow_from_their_definitions() -> None:
    assert FOUR.mean_nll == pytest.approx(math.log(8))
    assert FOUR.perplexity == pytest.approx(8)
    assert FOUR.char_perplexity == pytest.approx(8 ** (4 / 6))
    assert FOUR.word_perplexity == pytest.approx(8**2)
    assert FOUR.byte_perplexity == pytest.approx(8 ** (4 / 8))
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
    assert all(math.isnan(x) for x in (Score().perplexity, Score().bpc, Score().mean_nll))


def test_a_hopeless_model_has_infinite_perplexity_not_an_error() -> None:
    assert Score(nll=1e6, tokens=1).perplexity == math.inf


def split(sums: list[float], size: int = 1) -> Blocks:
    return Blocks.of(sums, [size] * len(sums))


def test_blocks_add_in_the_order_of_the_text() -> None:
    both = split([1.0, 2.0]) + split([3.0])
    assert (both.nll, both.tokens) == ((1.0, 2.0, 3.0), (1, 1, 1))
    assert Blocks() + both == both + Blocks() == both


@pytest.mark.parametrize("count", [4096, 4097, 10_000, 40_000])
def test_many_blocks_are_joined_into_few_of_about_one_size(count: int) -> None:
    whole = split([float(i) for i in range(count)], size=256)
    parts = Blocks()
    for begin in range(0, count, 61):
        nll = [float(i) for i in range(begin, min(begin + 61, count))]
        parts += split(nll, size=256)
    for blocks in (whole, parts):
        assert len(blocks) <= 4096
        assert len(blocks) > 1500
        assert sum(blocks.tokens) == 256 * count
        assert sum(blocks.nll) == count * (count - 1) / 2
        assert list(blocks.nll) == sorted(blocks.nll) or blocks.units[-1] < blocks.size
        assert max(blocks.units) <= blocks.size < 2 * count / 2048
    assert parts.units.count(parts.size) >= len(parts) - 1


def test_blocks_of_two_sizes_become_blocks_of_the_larger_one() -> None:
    large = split([1.0] * 5000)
    assert (large.size, len(large)) == (2, 2500)
    assert (split([1.0, 1.0, 1.0]) + large).units[:3] == (2, 1, 2)
    assert (large + split([1.0, 1.0, 1.0])).units[-3:] == (2, 2, 1)
