"""How far back predictions reach: gradients against differences, changes against a second run."""

from itertools import product

import numpy as np
import pytest
import torch

from charlm.errors import ConfigError, CorpusError
from charlm.explain.memory import (
    gradient_norms,
    horizon,
    places_of,
    prediction_changes,
    replacements,
    states_after,
)
from charlm.inference.scoring.uncertainty import Estimate
from charlm.model.language_model import LanguageModel, State
from tests.explain.networks import KINDS, make_network

torch.set_num_threads(1)
STREAM = np.random.default_rng(1).integers(1, 11, 60)
WINDOWS = torch.from_numpy(STREAM[:10].reshape(2, 5))


def nll_after(network: LanguageModel, window: torch.Tensor, state: State) -> float:
    """The nll of the last token of a window (n + 1,) after reading the others from a state."""
    logits, _ = network(window[None, :-1], state)
    return -float(logits[0, -1].log_softmax(-1)[window[-1]])


def numeric_norm(network: LanguageModel, window: torch.Tensor, state: State) -> float:
    """The norm of the gradient of ``nll_after`` by central differences."""
    squares = 0.0
    for layer, part in product(range(len(state)), range(len(state[0]))):
        for unit in range(state[layer][part].shape[1]):
            values = []
            for shift in (1e-5, -1e-5):
                moved = [[each.clone() for each in parts] for parts in state]
                moved[layer][part][0, unit] += shift
                values.append(nll_after(network, window, tuple(map(tuple, moved))))
            squares += ((values[0] - values[1]) / 2e-5) ** 2
    return float(np.sqrt(squares))


@pytest.mark.parametrize("kind", ["lstm", "layer_norm_lstm", "gru", "rnn", "skip", "residual"])
def test_gradient_norms_are_those_of_finite_differences(kind: str) -> None:
    network = make_network(**({"hidden_size": 3, "num_layers": 2} | KINDS[kind])).double()
    with torch.inference_mode():
        before = states_after(network, STREAM, np.array([5, 9]))
        before = tuple(tuple(part.double() for part in layer) for layer in before)
    got = gradient_norms(network, WINDOWS, before)
    assert got.shape == (2, 4)
    with torch.inference_mode():
        for lane, lag in product(range(2), range(1, 5)):
            state = tuple(tuple(part[lane : lane + 1] for part in layer) for layer in before)
            window = WINDOWS[lane]
            if lag < 4:
                _, state = network(window[None, : 4 - lag], state)
            wanted = numeric_norm(network, window[4 - lag :], state)
            assert got[lane, lag - 1] == pytest.approx(wanted, rel=1e-5)


def test_a_change_is_the_divergence_of_two_runs() -> None:
    network = make_network(num_layers=2)
    before = states_after(network, STREAM, np.array([5, 9]))
    lags, others = np.array([1, 3, 4]), np.array([[1, 2, 3], [4, 5, 6]])
    got = prediction_changes(network, WINDOWS[:, :-1], before, lags, others)
    with torch.inference_mode():
        wanted = network(WINDOWS[:, :-1], before)[0][:, -1].log_softmax(-1)
        for at, lag in enumerate(lags):
            tokens = WINDOWS[:, :-1].clone()
            tokens[:, -lag] = torch.from_numpy(others[:, at])
            changed = network(tokens, before)[0][:, -1].log_softmax(-1)
            divergence = (wanted.exp() * (wanted - changed)).sum(1)
            assert got[:, at] == pytest.approx(divergence.numpy(), abs=1e-5)
    assert got.min() > 1e-4


def test_states_are_those_after_so_many_tokens() -> None:
    network = make_network()
    got = states_after(network, STREAM, np.array([1, 7, 20]))
    for lane, count in enumerate((1, 7, 20)):
        _, wanted = network(torch.from_numpy(STREAM[:count])[None])
        assert torch.allclose(got[0][0][lane], wanted[0][0][0], atol=1e-6)


def test_what_replaces_a_token_is_another_one_of_the_text() -> None:
    stream = np.array([0, *[3, 4] * 50])
    ends, lags = np.arange(20, 90), np.array([1, 2, 5])
    found = replacements(stream, ends, lags, seed=1)
    assert set(found.ravel()) == {3, 4}
    assert not (found == stream[ends[:, None] - lags + 1]).any()
    with pytest.raises(CorpusError, match="over and over"):
        replacements(np.array([0, 3, 3, 3]), np.array([2]), np.array([1]), seed=1)


def test_places_are_spread_over_the_text_and_short_texts_refused() -> None:
    ends = places_of(10_000, 100)
    assert (ends[0], ends[-1], len(ends)) == (100, 9_999, 128)
    with pytest.raises(CorpusError, match="too short"):
        places_of(200, 100)
    with pytest.raises(ConfigError, match="reach"):
        places_of(200, 1)


def test_the_horizon_is_where_a_curve_stays_below_a_hundredth() -> None:
    curve = [Estimate(value) for value in (2.0, 0.01, 0.5, 0.019, 0.001)]
    assert horizon((1, 2, 5, 9, 20), curve) == 9
    assert horizon((1, 2), [Estimate(1.0), Estimate(0.5)]) is None
