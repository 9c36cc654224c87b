"""Whole probabilities and arithmetic coding: they sum to one, and bits are what they cost."""

import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from charlm.errors import CharlmError
from charlm.inference.compression.coder import PRECISION, decode, encode, lay_out, weigh
from charlm.inference.predictors.predictor import Predictor
from tests.inference.compression.conftest import loaded_with


class Table(Predictor):
    """Predictions that were thought up beforehand: logits (T, V), the same in each lane."""

    def __init__(self, logits: np.ndarray) -> None:
        self.logits = logits
        self.vocab_size = logits.shape[1]

    def start(self, lanes: int = 1) -> int:
        """How many of them were used."""
        return 0

    def advance(self, tokens: torch.Tensor, state: int) -> tuple[torch.Tensor, int]:
        """The next of them."""
        assert tokens.dtype == torch.int64
        lanes, steps = tokens.shape
        assert steps == 1
        return torch.from_numpy(self.logits[state]).expand(lanes, 1, -1), state + 1

    def select(self, state: int, lanes: torch.Tensor) -> int:
        """The same."""
        return state


def finish(coding):  # type: ignore[no-untyped-def]
    """What a generator returns."""
    while True:
        try:
            next(coding)
        except StopIteration as end:
            return end.value


logits = st.lists(st.floats() | st.floats(-5, 5) | st.just(-np.inf), min_size=2, max_size=9)


@given(logits)
def test_weights_are_whole_and_leave_each_token_a_chance(row: list[float]) -> None:
    weights = weigh(np.array([row]))
    assert weights.sum() == (1 << PRECISION) - len(row)
    assert (weights >= 0).all()
    assert np.array_equal(weights, np.rint(weights))


def test_weights_are_the_softmax() -> None:
    row = np.random.default_rng(1).normal(size=(20, 300)) * 4
    odds = np.exp(row - row.max(1, keepdims=True))
    found = (weigh(row) + 1) / (1 << PRECISION)
    assert found == pytest.approx(odds / odds.sum(1, keepdims=True), rel=5e-3, abs=1e-6)


def test_known_weights() -> None:
    """A token as likely as all others together, in a vocabulary of five."""
    free = (1 << PRECISION) - 5
    found = weigh(np.array([[0.0, np.log(4.0), 0.0, 0.0, 0.0]]))[0]
    odds = np.array([1, np.exp(round(np.log(4) * 256) / 256), 1, 1, 1])
    assert found == pytest.approx(free * odds / odds.sum(), abs=4)


def test_a_little_noise_changes_no_bit() -> None:
    row = np.round(np.random.default_rng(1).normal(size=(9, 50)) * 256) / 256
    assert np.array_equal(weigh(row), weigh(row + 1e-4))


@given(st.integers(0, 70), st.integers(1, 9), st.randoms(use_true_random=False))
def test_tokens_come_back_whatever_the_lanes(count, lanes, source):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(source.randrange(1 << 30))
    table = rng.normal(size=(count + 1, 6)) * 9
    ids = rng.integers(0, 6, count)
    coded = finish(encode(Table(table), ids, lanes))
    decoded = finish(decode(Table(table), coded.data, count, lanes))
    assert decoded.tolist() == ids.tolist()


def test_lanes_are_contiguous_and_the_longer_ones_come_first() -> None:
    assert lay_out(np.arange(1, 8), 3).tolist() == [[1, 2, 3], [4, 5, 0], [6, 7, 0]]
    assert lay_out(np.arange(1, 3), 4).tolist() == [[1], [2], [0], [0]]
    assert lay_out(np.arange(0), 2).shape == (2, 0)


def test_bits_are_what_tokens_cost_under_the_model() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(size=(4000, 30)) * 2
    odds = np.exp(table) / np.exp(table).sum(1, keepdims=True)
    ids = np.array([rng.choice(30, p=row) for row in odds])
    nats = -np.log(odds[np.arange(4000), ids]).sum()
    coded = finish(encode(Table(table), ids, 1))
    assert coded.nats == pytest.approx(nats, rel=1e-12)
    assert 8 * len(coded.data) == pytest.approx(nats / np.log(2), rel=1e-3, abs=64)


def test_without_constriction_a_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "constriction", None)
    with pytest.raises(CharlmError, match="not installed") as raised:
        finish(encode(Table(np.zeros((1, 2))), np.zeros(1, dtype=int), 1))
    assert "[compress]" in raised.value.hint
    assert loaded_with("byte")
