"""Heads give distributions; the sparing loss is the loss of the whole."""

import pytest
import torch
from torch.nn import functional

from charlm.config import ModelConfig
from charlm.model.affine import initialise_affine
from charlm.model.heads import AdaptiveHead, MixtureHead
from charlm.model.language_model import LanguageModel

torch.set_num_threads(1)
HEADS = {
    "mixture": {"softmaxes": 3},
    "mixture, small": {"softmaxes": 3, "embedding_size": 5},
    "mixture, untied": {"softmaxes": 2, "tie_weights": False},
    "adaptive": {"adaptive_softmax": True},
    "adaptive, small": {"adaptive_softmax": True, "embedding_size": 5},
    "adaptive, untied": {"adaptive_softmax": True, "tie_weights": False, "embedding_size": 5},
}


def make_model(vocab_size: int = 40, **settings: object) -> LanguageModel:
    config = ModelConfig(hidden_size=12, dropout=0.0, **settings)
    model = LanguageModel.create(config, vocab_size, seed=1)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model.double()


@pytest.mark.parametrize("head", list(HEADS))
def test_logits_are_log_probabilities(head: str) -> None:
    model = make_model(**HEADS[head])
    log_probs, _ = model(torch.randint(40, (3, 7)))
    assert log_probs.shape == (3, 7, 40)
    torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(3, 7).double())
    torch.testing.assert_close(torch.log_softmax(log_probs, -1), log_probs)


@pytest.mark.parametrize("head", list(HEADS))
def test_no_targets_have_no_losses(head: str) -> None:
    model = make_model(**HEADS[head])
    features = torch.zeros(0, 12, dtype=torch.float64)
    assert model.head.losses(features, torch.zeros(0, dtype=torch.long)).shape == (0,)


@pytest.mark.parametrize("head", [*HEADS, "linear"])
def test_the_loss_is_that_of_the_logits_and_so_are_its_gradients(head: str) -> None:
    model = make_model(**HEADS.get(head, {}))
    features = torch.randn(4, 30, 12, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(40, (4, 30))
    targets[1, 10:] = -100
    results = []
    for nll in (
        model.nll(features, targets, ignored=-100),
        functional.cross_entropy(
            model.head(features).flatten(0, 1), targets.flatten(), reduction="sum"
        ),
    ):
        gradients = torch.autograd.grad(nll, [features, *model.head.parameters()])
        results.append([nll, *gradients])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("targets", [[0, 1], [39, 38], [-100, 3]])
def test_tails_without_targets_are_no_trouble(targets: list[int]) -> None:
    model = make_model(adaptive_softmax=True)
    features = torch.randn(1, 2, 12, dtype=torch.float64, requires_grad=True)
    nll = model.nll(features, torch.tensor([targets]), ignored=-100)
    nll.backward()
    assert torch.isfinite(nll)
    assert all(parameter.grad.isfinite().all() for parameter in model.head.parameters())


@pytest.mark.parametrize("vocab_size", range(2, 20))
def test_any_vocabulary_can_be_cut(vocab_size: int) -> None:
    head = AdaptiveHead(3, 3, vocab_size)
    initialise_affine(head, torch.Generator().manual_seed(1))
    covered = [*range(head.shortlist), *(i for begin, end in head.tails for i in range(begin, end))]
    assert covered == list(range(vocab_size))
    probabilities = head(torch.randn(2, 3)).exp()
    assert probabilities.shape == (2, vocab_size)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(2))


@pytest.mark.parametrize("settings", [{"adaptive_softmax": True}, {"softmaxes": 4}, {}])
def test_with_counts_a_model_begins_as_the_unigram_distribution(
    settings: dict[str, object],
) -> None:
    counts = torch.arange(40)
    model = LanguageModel.create(ModelConfig(hidden_size=16, **settings), 40, 1, counts).eval()
    with torch.no_grad():
        model.head.weight.zero_()
        for name, parameter in model.head.named_parameters():
            if name == "clusters.weight":
                parameter.zero_()
    probabilities = model(torch.tensor([[2, 3]]))[0].softmax(-1)
    expected = (counts + 0.5) / (counts + 0.5).sum()
    torch.testing.assert_close(probabilities, expected.expand(1, 2, 40), atol=1e-6, rtol=1e-4)


def test_a_mixture_of_one_is_a_softmax() -> None:
    head = MixtureHead(4, 3, 10, parts=1)
    initialise_affine(head, torch.Generator().manual_seed(1))
    features = torch.randn(5, 4)
    logits = functional.linear(torch.tanh(head.latent(features)), head.weight, head.bias)
    torch.testing.assert_close(head(features), torch.log_softmax(logits, -1))


@pytest.mark.parametrize(("parts", "low"), [(1, True), (3, False)])
def test_only_a_mixture_gets_through_the_bottleneck(parts: int, low: bool) -> None:
    """The log-probabilities of one softmax have at most rank E + 2: weights, bias, normaliser."""
    head = MixtureHead(20, 3, 30, parts).double()
    generator = torch.Generator().manual_seed(1)
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    log_probs = head(torch.randn(50, 20, dtype=torch.float64))
    assert (torch.linalg.matrix_rank(log_probs, rtol=1e-7) <= 3 + 2) == low


def test_tied_weights_of_another_size_are_projected_to() -> None:
    model = make_model(embedding_size=5)
    assert model.head.weight is model.embedding.weight
    features, _ = model.features(torch.tensor([[1, 2]]))
    logits = features @ model.head.projection.weight.T @ model.embedding.weight.T + model.head.bias
    torch.testing.assert_close(model(torch.tensor([[1, 2]]))[0], logits)
