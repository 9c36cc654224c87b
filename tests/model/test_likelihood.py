"""The likelihood of a stream does not depend on how it is cut, and scoring leaves no trace."""

from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.model import likelihood
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import evaluating, nll_of_stream

torch.set_num_threads(1)
IDS = np.random.default_rng(1).integers(0, 9, 300).astype(np.uint8)


@pytest.fixture
def model() -> LanguageModel:
    config = ModelConfig(hidden_size=16, num_layers=2, dropout=0.5)
    return LanguageModel.create(config, vocab_size=9, seed=1)


def naive(model: LanguageModel, ids: np.ndarray) -> list[float]:
    """Token by token through the reference cells."""
    nll, state, last = [], model.zero_state(1), 0
    with evaluating(model):
        for token in ids.tolist():
            hidden, after = model.embedding(torch.tensor([[last]])), []
            for layer, before in zip(model.recurrent_layers(), state, strict=True):
                hidden, layer_state = layer.reference(hidden, before)
                after.append(layer_state)
            state, last = tuple(after), token
            nll.append(-torch.log_softmax(model.head(hidden[0, 0]).double(), -1)[token].item())
    return nll


def score(model: LanguageModel, ids: np.ndarray = IDS) -> np.ndarray:
    """The nll (N,) of one stream after a boundary."""
    tokens = torch.from_numpy(np.append(0, ids).astype(np.int64))
    return nll_of_stream(model, tokens[None])[0][0]


def test_scoring_equals_a_naive_loop_token_by_token(model: LanguageModel) -> None:
    assert score(model) == pytest.approx(naive(model, IDS), abs=1e-5)
    assert score(model).mean() == pytest.approx(np.mean(naive(model, IDS)), abs=1e-6)


@pytest.mark.parametrize("chunk", [1, 7, 299, 300, 5000])
def test_likelihood_does_not_depend_on_the_chunk(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    whole = score(model)
    monkeypatch.setattr(likelihood, "CHUNK", chunk)
    assert score(model) == pytest.approx(whole, abs=1e-5)


def test_nothing_to_score_gives_nothing(model: LanguageModel) -> None:
    assert score(model, IDS[:0]).shape == (0,)


@pytest.mark.parametrize("mode", [True, False])
def test_scoring_leaves_weights_mode_and_generators_untouched(
    model: LanguageModel, mode: bool
) -> None:
    model.train(mode)
    weights = {name: tensor.clone() for name, tensor in model.tensors().items()}
    generator = torch.get_rng_state()
    score(model)
    assert model.training is mode
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.tensors().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "gru"},
        {"cell": "layer_norm_lstm", "connections": "skip", "num_layers": 2},
        {"cell": "lstm", "mogrifier_rounds": 2, "num_layers": 2},
        {"softmaxes": 3},
        {"adaptive_softmax": True, "vocab": 40},
    ],
)
def test_every_architecture_scores_lanes_side_by_side(options: dict[str, Any]) -> None:
    vocab = options.pop("vocab", 9)
    config = ModelConfig(hidden_size=8, **options)
    model = LanguageModel.create(config, vocab_size=vocab, seed=1)
    lanes = torch.from_numpy(np.random.default_rng(3).integers(0, vocab, (5, 30)))
    together, _ = nll_of_stream(model, lanes)
    for lane, nll in zip(lanes, together, strict=True):
        first, state = nll_of_stream(model, lane[None, :13])
        rest, _ = nll_of_stream(model, lane[None, 12:], state)
        assert nll == pytest.approx(np.concatenate([first[0], rest[0]]), abs=1e-5)


def test_logits_held_do_not_grow_with_the_number_of_lanes(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    model.head.register_forward_hook(lambda _, __, logits: seen.append(logits.numel()))
    monkeypatch.setattr(likelihood, "LOGITS_IN_CACHE", 500)
    monkeypatch.setattr(likelihood, "FEWEST_ROWS", 1)
    nll_of_stream(model, torch.zeros(50, 200, dtype=torch.int64))
    assert 0 < max(seen) <= 500
