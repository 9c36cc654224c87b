"""Units that follow a feature: found where there are some, not where there is only chance."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from charlm.errors import CorpusError
from charlm.explain.correlation import Chance, Half, chance_level, split_in_halves
from charlm.explain.features import measure_feature
from charlm.explain.observation import ObservedReader
from tests.explain.networks import make_network

torch.set_num_threads(1)
LETTERS = "abcdefghi\n"


def correlated(series: np.ndarray, feature: np.ndarray) -> tuple[np.ndarray, np.ndarray, Chance]:
    """The correlations (K,) on both halves of series (T, K), and what chance reaches."""
    halves = split_in_halves(feature, "it")
    for half in halves:
        for begin in range(half.begin, half.end, 1000):
            half.add(begin, series[begin : min(begin + 1000, half.end)])
    first, second = (half.correlations() for half in halves)
    return first[:, 0], second[:, 0], chance_level(first, second)


@pytest.fixture(scope="module")
def states() -> tuple[np.ndarray, str]:
    """Hidden states (T, K) of an untrained network over a text of random lines, and the text."""
    source = np.random.default_rng(3)
    ids = source.integers(1, 11, 6000)
    noted, _ = ObservedReader(make_network(hidden_size=24)).read(ids)
    return noted["hidden"][:, 0].numpy(), "".join(LETTERS[id - 1] for id in ids)


def test_correlations_are_pearsons_on_each_half() -> None:
    source = np.random.default_rng(1)
    series, feature = source.normal(size=(4001, 3)).cumsum(axis=0), source.normal(size=4001)
    series[:, 1] += 40 * feature
    first, second, _ = correlated(series, feature)
    for half, got in ((slice(0, 2000), first), (slice(2000, 4001), second)):
        wanted = [np.corrcoef(series[half, k], feature[half])[0, 1] for k in range(3)]
        assert got == pytest.approx(wanted, abs=1e-9)


def test_shifts_go_round_within_a_half() -> None:
    source = np.random.default_rng(1)
    series, feature = source.normal(size=(2000, 1)), source.normal(size=2000)
    half = Half(0, feature, 19)
    half.add(0, series)
    wanted = [np.corrcoef(series[:, 0], np.roll(feature, -100 * k))[0, 1] for k in range(20)]
    assert half.correlations()[0] == pytest.approx(wanted, abs=1e-9)


def test_a_unit_that_follows_is_far_beyond_chance(states: tuple[np.ndarray, str]) -> None:
    series, text = states
    feature = measure_feature("line-position", list(text))
    source = np.random.default_rng(5)
    follower = 0.02 * feature[:, None] + 0.1 * source.normal(size=(len(feature), 1))
    first, second, chance = correlated(np.hstack([series, follower]), feature)
    assert np.abs(first).argmax() == 24
    assert chance.beaten_by(first[24], second[24])
    assert not chance.beaten_by(first[24], -second[24])
    assert chance.first < 0.5


def test_a_feature_of_another_text_is_followed_by_no_unit(states: tuple[np.ndarray, str]) -> None:
    """In 100 trials at 95 %: lines in another order have nothing to do with the states."""
    series, text = states
    lines, source = text.split("\n"), np.random.default_rng(7)
    beyond = found = 0
    for _ in range(100):
        shuffled = "\n".join(lines[place] for place in source.permutation(len(lines)))
        first, second, chance = correlated(series, measure_feature("line-position", list(shuffled)))
        best = np.abs(first).argmax()
        beyond += bool(np.abs(first[best]) > chance.first)
        found += chance.beaten_by(first[best], second[best])
    assert beyond <= 10  # 5 are expected; more than 10 come in one case of 100
    assert found <= 2


def test_what_cannot_be_told_from_chance_is_refused() -> None:
    with pytest.raises(CorpusError, match="too short"):
        split_in_halves(np.arange(2000.0), "it")
    with pytest.raises(CorpusError, match="second half"):
        split_in_halves(np.append(np.arange(2000.0), np.ones(2000)), "it")


def series_that_stand_still() -> Iterator[np.ndarray]:
    yield np.zeros((3000, 2))
    yield np.ones((3000, 2))


def test_a_unit_that_never_moves_has_no_correlation() -> None:
    feature = np.random.default_rng(1).normal(size=3000)
    for series in series_that_stand_still():
        first, second, _ = correlated(series, feature)
        assert not first.any()
        assert not second.any()
