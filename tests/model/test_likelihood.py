"""The likelihood of a stream does not depend on how it is cut, and reading leaves no trace."""

from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.model import likelihood
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import StreamReader, evaluating, read_ahead, read_together

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


def test_reading_equals_a_naive_loop_token_by_token(model: LanguageModel) -> None:
    assert StreamReader(model).read(IDS) == pytest.approx(naive(model, IDS), abs=1e-5)
    assert StreamReader(model).read(IDS).mean() == pytest.approx(
        np.mean(naive(model, IDS)), abs=1e-6
    )


@pytest.mark.parametrize("chunk", [1, 7, 299, 300, 5000])
def test_likelihood_does_not_depend_on_the_chunk(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    whole = StreamReader(model).read(IDS)
    monkeypatch.setattr(likelihood, "CHUNK", chunk)
    assert StreamReader(model).read(IDS) == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("cut", [1, 150, 299])
def test_pieces_read_one_after_the_other_give_the_whole(model: LanguageModel, cut: int) -> None:
    reader = StreamReader(model)
    pieces = np.concatenate([reader.read(IDS[:cut]), reader.read(IDS[cut:])])
    assert pieces == pytest.approx(StreamReader(model).read(IDS), abs=1e-5)


def test_reading_nothing_gives_nothing(model: LanguageModel) -> None:
    assert StreamReader(model).read(IDS[:0]).shape == (0,)


@pytest.mark.parametrize("mode", [True, False])
def test_reading_leaves_weights_mode_and_generators_untouched(
    model: LanguageModel, mode: bool
) -> None:
    model.train(mode)
    weights = {name: tensor.clone() for name, tensor in model.tensors().items()}
    generator = torch.get_rng_state()
    StreamReader(model).read(IDS)
    assert model.training is mode
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.tensors().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_large_vocabulary_shortens_the_chunk() -> None:
    model = LanguageModel.create(ModelConfig(hidden_size=2), vocab_size=50_000, seed=1)
    assert StreamReader(model).chunk * 50_000 <= likelihood.LOGITS_AT_ONCE


def lines(seed: int, count: int, longest: int) -> list[np.ndarray]:
    chance = np.random.default_rng(seed)
    sizes = chance.integers(0, longest, count)
    return [chance.integers(0, 9, size).astype(np.uint8) for size in sizes]


@pytest.fixture(params=[(1, 1), (3, 5), (64, 128)])
def given(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Lines, some of them alike, one long and one empty; how many lanes and steps go together."""
    for name, value in zip(("LANES", "STEPS"), request.param, strict=True):
        monkeypatch.setattr(likelihood, name, value)
    monkeypatch.setattr(likelihood, "LOGITS_IN_CACHE", 9 * 7)
    return [*lines(1, 40, 20), IDS, IDS[:3], IDS[:3], IDS[:0]]


def test_lines_read_together_are_lines_read_one_by_one(
    model: LanguageModel, given: list[np.ndarray]
) -> None:
    found = read_together(model, given)
    assert len(found) == len(given)
    for ids, nll in zip(given, found, strict=True):
        assert nll == pytest.approx(StreamReader(model).read(ids), abs=1e-5)
        assert nll.dtype == np.float64


def test_lines_read_ahead_are_lines_read_one_by_one(
    model: LanguageModel, given: list[np.ndarray]
) -> None:
    for ids, reader in zip(given, read_ahead(model, given), strict=True):
        alone = StreamReader(model)
        for part in np.split(ids, [1, 2, 9]):
            assert reader.read(part) == pytest.approx(alone.read(part), abs=1e-5)
    for ids, reader in zip(given, read_ahead(model, given), strict=True):
        if len(ids):
            expected = StreamReader(model).predict(ids)
            torch.testing.assert_close(reader.predict(ids), expected, rtol=0, atol=1e-5)


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
def test_every_architecture_reads_lines_together(options: dict[str, Any]) -> None:
    vocab = options.pop("vocab", 9)
    config = ModelConfig(hidden_size=8, **options)
    model = LanguageModel.create(config, vocab_size=vocab, seed=1)
    given = lines(3, 20, 30)
    for ids, nll in zip(given, read_together(model, given), strict=True):
        assert nll == pytest.approx(StreamReader(model).read(ids), abs=1e-5)


def test_no_lines_give_nothing(model: LanguageModel) -> None:
    assert read_together(model, []) == []
    assert [len(nll) for nll in read_together(model, [IDS[:0]])] == [0]


def test_logits_held_for_lines_do_not_grow_with_their_number(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    model.head.register_forward_hook(lambda _, __, logits: seen.append(logits.numel()))
    monkeypatch.setattr(likelihood, "LOGITS_IN_CACHE", 500)
    monkeypatch.setattr(likelihood, "FEWEST_ROWS", 1)
    read_together(model, lines(2, 200, 50))
    assert max(seen) <= 500
