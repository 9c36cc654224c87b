"""Dynamic evaluation, cache and temperature: exact however a text is cut, and harmless."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from charlm.config import ModelConfig
from charlm.errors import ModelError
from charlm.inference.adaptation.adapter import begin_walk
from charlm.inference.adaptation.cache import CacheWalk
from charlm.inference.adaptation.dynamic import gather_statistics, plan_steps
from charlm.inference.adaptation.methods import Cache, Dynamic, Evaluation, Temperature
from charlm.inference.adaptation.walks import NetworkWalk, Walking
from charlm.inference.predictors.predictor import Recurrent
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


def model_for(network: LanguageModel, evaluation: Evaluation) -> Walking:
    steps = None
    if evaluation.dynamic is not None:
        text = np.random.default_rng(2).integers(0, VOCAB, 500).astype(np.uint8)
        rms = gather_statistics(network, text, evaluation.dynamic.segment)
        steps = plan_steps(evaluation.dynamic, rms)
    return Walking(network, evaluation.mode, partial(begin_walk, network, evaluation, steps))


@pytest.mark.parametrize("evaluation", NOTHING.values(), ids=list(NOTHING))
def test_a_method_without_effect_is_the_static_model(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation
) -> None:
    found = model_for(network, evaluation).reader().read(ids)
    np.testing.assert_allclose(found, Recurrent(network).reader().read(ids), atol=1e-5)


@every_method
def test_a_method_has_an_effect_and_says_its_name(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation
) -> None:
    model = model_for(network, evaluation)
    assert model.mode == evaluation.mode == "+".join(evaluation.table())
    static = Recurrent(network).reader().read(ids)
    assert np.abs(model.reader().read(ids) - static).max() > 1e-2


@every_method
@pytest.mark.parametrize("size", [1, 3, 7, 13, 64])
def test_how_a_text_is_cut_does_not_matter(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation, size: int
) -> None:
    model = model_for(network, evaluation)
    reader = model.reader()
    parts = [reader.read(ids[begin : begin + size]) for begin in range(0, len(ids), size)]
    np.testing.assert_allclose(np.concatenate(parts), model.reader().read(ids), atol=1e-4)


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
    reader = model.reader()
    parts = [reader.read(ids[begin : begin + 13]) for begin in range(0, len(ids), 13)]
    np.testing.assert_allclose(np.concatenate(parts), model.reader().read(ids), atol=1e-4)
    totals = model.reader().predict(ids).double().exp().sum(dim=1)
    torch.testing.assert_close(totals, torch.ones_like(totals), atol=1e-5, rtol=0)


@every_method
def test_every_distribution_sums_to_one(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation
) -> None:
    log_probs = model_for(network, evaluation).reader().predict(ids)
    assert log_probs.shape == (len(ids), VOCAB)
    torch.testing.assert_close(
        log_probs.double().exp().sum(dim=1), torch.ones(len(ids), dtype=torch.double),
        atol=1e-5, rtol=0,
    )  # fmt: skip


@every_method
def test_weights_in_memory_stay_as_they_are(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation
) -> None:
    before = {name: weight.clone() for name, weight in network.tensors().items()}
    model = model_for(network, evaluation)
    first = model.reader().read(ids)
    np.testing.assert_array_equal(model.reader().read(ids), first)
    for name, weight in network.tensors().items():
        assert torch.equal(weight, before[name]), name
        assert weight.grad is None
    assert not network.training


@every_method
def test_a_decoder_meets_the_probabilities_of_the_reader(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation
) -> None:
    model = model_for(network, evaluation)
    expected = model.reader().predict(ids)
    decoder = model.decoder()
    stream = torch.from_numpy(np.append(0, ids).astype(np.int64))
    logits = [decoder.read(stream[None, :5])]
    for token in stream[5:-1]:
        decoder.select(torch.tensor([0]))
        logits.append(decoder.step(token[None]))
    found = torch.cat(logits).log_softmax(dim=-1)
    torch.testing.assert_close(found, expected[4:], atol=1e-4, rtol=0)


@every_method
def test_lines_are_streams_of_their_own(
    network: LanguageModel, ids: np.ndarray, evaluation: Evaluation
) -> None:
    model = model_for(network, evaluation)
    lines = [ids[:40], ids[:0], ids[40:100], ids[:40]]
    found = model.read_lines(lines)
    for line, nll in zip(lines, found, strict=True):
        np.testing.assert_array_equal(nll, model.reader().read(line))
    np.testing.assert_array_equal(found[0], found[3])


@pytest.mark.parametrize(
    "evaluation",
    [EVALUATIONS["dynamic"], Evaluation(cache=Cache(window=500, theta=8.0, share=0.5))],
    ids=["dynamic", "cache"],
)
def test_a_text_that_repeats_is_predicted_better_each_time(
    network: LanguageModel, evaluation: Evaluation
) -> None:
    line = np.random.default_rng(4).integers(1, VOCAB, 49).astype(np.uint8)
    nll = model_for(network, evaluation).reader().read(np.tile(line, 30))
    static = Recurrent(network).reader().read(np.tile(line, 30))
    assert nll[-49:].mean() < nll[:49].mean() - 0.2
    assert nll.mean() < static.mean() - 0.1


def test_nothing_is_learned_from_a_token_before_it_is_scored(network: LanguageModel) -> None:
    """On noise no predictor is better than chance; one that looks ahead would be."""
    noise = np.random.default_rng(5).integers(0, VOCAB, 5000).astype(np.uint8)
    for evaluation in EVALUATIONS.values():
        assert model_for(network, evaluation).reader().read(noise).mean() > np.log(VOCAB) - 0.02


def test_temperature_divides_the_logits(network: LanguageModel) -> None:
    model = model_for(network, EVALUATIONS["temperature"])
    tokens = torch.tensor([[0, 3, 1]])
    logits, _ = network(tokens)
    torch.testing.assert_close(model.decoder().read(tokens), logits[:, -1].detach() / 1.3)


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
    features, log_probs = CacheWalk(NetworkWalk(network), settings).advance(tokens[None])
    plain = network(tokens[None])[0][0].detach().double().softmax(dim=-1)
    for step in range(len(tokens)):
        cached = plain_cache(features[0], tokens, settings, step)
        expected = plain[step] if cached is None else 0.6 * plain[step] + 0.4 * cached
        torch.testing.assert_close(log_probs[0, step].double().exp(), expected, atol=1e-6, rtol=0)


def test_lanes_of_a_cache_are_apart_and_can_be_selected(network: LanguageModel) -> None:
    model = model_for(network, EVALUATIONS["cache"])
    lanes = torch.from_numpy(np.random.default_rng(7).integers(0, VOCAB, (3, 40)))
    decoder = model.decoder(3)
    decoder.read(lanes[:, :30])
    decoder.select(torch.tensor([2, 0, 2]))
    logits = decoder.read(lanes[:, 30:])
    for lane, source in enumerate([2, 0, 2]):
        alone = model.decoder().read(torch.cat([lanes[source, :30], lanes[lane, 30:]])[None])
        torch.testing.assert_close(logits[lane], alone[0], atol=1e-5, rtol=0)


def test_dynamic_evaluation_says_what_it_cannot(network: LanguageModel) -> None:
    model = model_for(network, EVALUATIONS["dynamic"])
    with pytest.raises(ModelError, match="one text at a time"):
        model.decoder(2).step(torch.tensor([0, 0]))
    with pytest.raises(ModelError, match="one lane"):
        model.decoder().select(torch.tensor([0, 0]))
