"""Dynamic evaluation, cache and temperature: exact however a text is cut, and harmless."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from charlm.config import ModelConfig
from charlm.inference.adaptation.adapter import with_methods
from charlm.inference.adaptation.cache import CachedPredictor
from charlm.inference.adaptation.dynamic import gather_statistics, plan_steps
from charlm.inference.adaptation.methods import Cache, Dynamic, Evaluation, Temperature
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel

torch.set_num_threads(1)
VOCAB = 9
SEGMENT = Dynamic(lr=3e-3, segment=7)
EVALUATIONS = {
    "dynamic": Evaluation(dynamic=SEGMENT),
    "cache": Evaluation(cache=Cache(window=20, theta=2.0, share=0.3)),
    "temperature": Evaluation(temperature=Temperature(value=1.3)),
    "dynamic+temperature+cache": Evaluation(
        dynamic=SEGMENT,
        temperature=Temperature(value=0.9),
        cache=Cache(window=20, theta=2.0, share=0.3),
    ),
}
NOTHING = {
    "dynamic": Evaluation(dynamic=Dynamic(lr=0.0, segment=7)),
    "cache": Evaluation(cache=Cache(share=0.0)),
    "temperature": Evaluation(temperature=Temperature(value=1.0)),
}
every_method = pytest.mark.parametrize("evaluation", EVALUATIONS.values(), ids=list(EVALUATIONS))


@pytest.fixture(scope="module")
def network() -> LanguageModel:
    """Two layers, dropout that must not act, and features that tell contexts apart."""
    config = ModelConfig(hidden_size=12, num_layers=2, dropout=0.5)
    made = LanguageModel.create(config, VOCAB, seed=3)
    with torch.no_grad():
        for weight in made.parameters():
            weight.mul_(2.0)
    return made.eval()


@pytest.fixture(scope="module")
def ids() -> np.ndarray:
    return np.random.default_rng(1).integers(0, VOCAB, 150).astype(np.uint8)


def model_for(network: LanguageModel, evaluation: Evaluation) -> Predictor:
    sizes = None
    if evaluation.dynamic is not None:
        text = np.random.default_rng(2).integers(0, VOCAB, 500).astype(np.uint8)
        rms = gather_statistics(network, text, evaluation.dynamic.segment)
        sizes = plan_steps(evaluation.dynamic, rms)
    return with_methods(network, evaluation, sizes)


@pytest.mark.parametrize("evaluation", NOTHING.values(), ids=list(NOTHING))
def test_a_method_without_effect_is_the_static_model(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation
) -> None:
    found = Reader(model_for(network, evaluation)).nll(ids)
    np.testing.assert_allclose(found, Reader(Recurrent(network)).nll(ids), atol=1e-5)


@every_method
def test_a_method_has_an_effect_and_says_its_name(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation
) -> None:
    model = model_for(network, evaluation)
    assert model.mode == evaluation.mode == "+".join(list(evaluation.record())[:-1])
    static = Reader(Recurrent(network)).nll(ids)
    assert np.abs(Reader(model).nll(ids) - static).max() > 1e-2


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "gru"},
        {"softmaxes": 2},
        {"adaptive_softmax": True},
        {"mogrifier_rounds": 3},
        {"num_layers": 3, "connections": "skip"},
        {"embedding_size": 8},
    ],
    ids=str,
)
def test_the_methods_take_every_architecture(ids: np.ndarray, settings: dict[str, Any]) -> None:
    network = LanguageModel.create(ModelConfig(hidden_size=12, **settings), VOCAB, seed=3).eval()
    model = model_for(network, EVALUATIONS["dynamic+temperature+cache"])
    reader = Reader(model)
    parts = [reader.nll(ids[begin : begin + 13]) for begin in range(0, len(ids), 13)]
    np.testing.assert_allclose(np.concatenate(parts), Reader(model).nll(ids), atol=1e-4)
    totals = Reader(model).log_probs(ids).double().exp().sum(dim=1)
    torch.testing.assert_close(totals, torch.ones_like(totals), atol=1e-5, rtol=0)


@every_method
def test_weights_in_memory_stay_as_they_are(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation
) -> None:
    before = {name: weight.clone() for name, weight in network.tensors().items()}
    model = model_for(network, evaluation)
    first = Reader(model).nll(ids)
    np.testing.assert_array_equal(Reader(model).nll(ids), first)
    for name, weight in network.tensors().items():
        assert torch.equal(weight, before[name]), name
        assert weight.grad is None
    assert not network.training


@pytest.mark.parametrize(
    "evaluation",
    [EVALUATIONS["dynamic"], Evaluation(cache=Cache(window=500, theta=8.0, share=0.5))],
    ids=["dynamic", "cache"],
)
def test_a_text_that_repeats_is_predicted_better_each_time(
    network: LanguageModel, evaluation: Evaluation
) -> None:
    line = np.random.default_rng(4).integers(1, VOCAB, 49).astype(np.uint8)
    nll = Reader(model_for(network, evaluation)).nll(np.tile(line, 30))
    static = Reader(Recurrent(network)).nll(np.tile(line, 30))
    assert nll[-49:].mean() < nll[:49].mean() - 0.2
    assert nll.mean() < static.mean() - 0.1


def test_nothing_is_learned_from_a_token_before_it_is_scored(network: LanguageModel) -> None:
    """On noise no predictor is better than chance; one that looks ahead would be."""
    noise = np.random.default_rng(5).integers(0, VOCAB, 5000).astype(np.uint8)
    for evaluation in EVALUATIONS.values():
        assert Reader(model_for(network, evaluation)).nll(noise).mean() > np.log(VOCAB) - 0.02


def test_temperature_divides_the_logits(network: LanguageModel) -> None:
    model = model_for(network, EVALUATIONS["temperature"])
    tokens = torch.tensor([[0, 3, 1]])
    expected = (network(tokens)[0].detach() / 1.3).log_softmax(-1)
    torch.testing.assert_close(model.advance(tokens, model.start())[0], expected)


def plain_cache(features: Tensor, tokens: Tensor, settings: Cache, step: int) -> Tensor | None:
    """p_cache (V) after ``step`` by the sum of the paper, pair by pair."""
    pairs = range(max(0, step - settings.window), step)
    found = torch.zeros(VOCAB, dtype=torch.double)
    for pair in pairs:
        similarity = settings.theta * features[step].double() @ features[pair].double()
        found[tokens[pair + 1]] += similarity.exp()
    return found / found.sum() if pairs else None


def test_the_cache_is_the_sum_of_the_paper(network: LanguageModel) -> None:
    settings = Cache(window=5, theta=1.5, share=0.4)
    tokens = torch.from_numpy(np.random.default_rng(6).integers(0, VOCAB, 30))
    model = CachedPredictor(Recurrent(network), settings)
    features, log_probs, _ = model.forward(tokens[None], model.start())
    plain = network(tokens[None])[0][0].detach().double().softmax(dim=-1)
    for step in range(len(tokens)):
        cached = plain_cache(features[0], tokens, settings, step)
        expected = plain[step] if cached is None else 0.6 * plain[step] + 0.4 * cached
        torch.testing.assert_close(log_probs[0, step].double().exp(), expected, atol=1e-6, rtol=0)
