"""A mixture is the weighted sum of two models' probabilities, whoever asks."""

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.errors import ConfigError, CorpusError
from charlm.inference.adaptation.mixing import best_weight, tune_weight
from charlm.inference.predictors.mixture import Mixture
from charlm.inference.predictors.ngram import NgramPredictor
from charlm.inference.predictors.reader import Reader
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel
from charlm.model.ngram.kneser_ney import train_ngrams

torch.set_num_threads(1)

VOCAB = 12
IDS = np.append(0, np.random.default_rng(1).choice(VOCAB, size=700, p=np.arange(1, 13) / 78))
NGRAM = NgramPredictor(train_ngrams(IDS[:500], VOCAB, 3))
NETWORK = Recurrent(LanguageModel.create(ModelConfig(hidden_size=8), VOCAB, seed=1).eval())


def mixed_probabilities(ids: np.ndarray, weight: float) -> torch.Tensor:
    first, second = (Reader(part).log_probs(ids).double().exp() for part in (NGRAM, NETWORK))
    return weight * first + (1 - weight) * second


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.99, 1.0])
def test_a_mixture_reads_as_the_sum_of_its_parts(weight: float) -> None:
    ids = IDS[1:200]
    mixture = Mixture(NGRAM, NETWORK, weight)
    wanted = mixed_probabilities(ids, weight)
    read = Reader(mixture)
    halves = torch.cat([read.log_probs(ids[:77]), read.log_probs(ids[77:])])
    assert halves.exp().numpy() == pytest.approx(wanted.numpy(), abs=1e-6)
    assert halves.exp().sum(dim=1).numpy() == pytest.approx(np.ones(len(ids)), abs=1e-6)
    nll = -wanted[np.arange(len(ids)), ids].log().numpy()
    assert Reader(mixture).nll(ids) == pytest.approx(nll, abs=1e-5)


def test_the_best_weight_is_where_the_mean_nll_is_least() -> None:
    generator = np.random.default_rng(3)
    first, second = generator.gamma(2, size=500), generator.gamma(2.2, size=500)
    weights = np.linspace(0, 1, 10_001)[1:-1]
    means = [np.mean(-np.log(w * np.exp(-first) + (1 - w) * np.exp(-second))) for w in weights]
    assert best_weight(first, second) == pytest.approx(weights[np.argmin(means)], abs=1.5e-4)


def test_the_best_weight_of_a_known_mixture_is_its_own() -> None:
    """Tokens drawn from 0.7 of one distribution and 0.3 of another."""
    generator = np.random.default_rng(5)
    first, second = generator.dirichlet([0.5] * 50, size=2)
    drawn = generator.choice(50, p=0.7 * first + 0.3 * second, size=200_000)
    assert best_weight(-np.log(first)[drawn], -np.log(second)[drawn]) == pytest.approx(
        0.7, abs=0.02
    )


@pytest.mark.parametrize(("first", "second", "weight"), [(1.0, 2.0, 1.0), (900.0, 1.0, 0.0)])
def test_a_model_that_is_always_worse_gets_nothing(
    first: float, second: float, weight: float
) -> None:
    assert best_weight(np.full(9, first), np.full(9, second)) == pytest.approx(weight, abs=1e-4)


def test_a_tuned_mixture_is_no_worse_than_its_parts_on_what_it_was_tuned_on() -> None:
    valid = IDS[500:]
    weight = tune_weight(NGRAM, NETWORK, valid)
    models = (Mixture(NGRAM, NETWORK, weight), NGRAM, NETWORK)
    best, *parts = (Reader(model).nll(valid[1:])[valid[1:] != 0].mean() for model in models)
    assert best <= min(parts) + 1e-6


def test_bad_weights_and_no_text_are_refused() -> None:
    for weight in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="weight of a mixture must be between 0 and 1"):
            Mixture(NGRAM, NETWORK, weight)
    with pytest.raises(CorpusError, match="no validation text to tune"):
        tune_weight(NGRAM, NETWORK, np.array([0, 0]))
