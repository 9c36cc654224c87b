"""The steps of dynamic evaluation are those of the paper."""

import numpy as np
import pytest
import torch
from torch import Tensor

from charlm.config import ModelConfig
from charlm.errors import ModelError
from charlm.inference.adaptation.dynamic import (
    DynamicPredictor,
    StepSizes,
    gather_statistics,
    plan_steps,
)
from charlm.inference.adaptation.methods import Dynamic
from charlm.model.language_model import LanguageModel

torch.set_num_threads(1)
VOCAB = 9


@pytest.fixture(scope="module")
def network() -> LanguageModel:
    config = ModelConfig(hidden_size=12, num_layers=2, dropout=0.5)
    return LanguageModel.create(config, VOCAB, seed=3).eval()


def test_a_step_is_the_rule_of_the_paper(network: LanguageModel) -> None:
    """Two steps; at the second the weights have left the trained ones and are pulled back."""
    settings = Dynamic(lr=0.01, decay=0.05, segment=4, epsilon=0.2)
    rms = tuple(torch.rand_like(weight) + 0.1 for weight in network.parameters())
    tokens = torch.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8])
    model = DynamicPredictor(network, plan_steps(settings, rms))
    _, (lane,) = model.advance(tokens[None], model.start())

    mean = torch.cat([part.flatten() for part in rms]).mean()
    weights = [weight.detach().clone() for weight in network.parameters()]
    trained, state = [weight.clone() for weight in weights], None
    names = [name for name, _ in network.named_parameters()]
    for begin in (0, 4):
        given = [weight.requires_grad_() for weight in weights]
        named = dict(zip(names, given, strict=True)) | tied(network, names, given)
        logits, state = torch.func.functional_call(
            network, named, (tokens[None, begin : begin + 4], state)
        )
        loss = torch.nn.functional.cross_entropy(logits[0], tokens[begin + 1 : begin + 5])
        gradients = torch.autograd.grad(loss, given)
        state = tuple(tuple(part.detach() for part in layer) for layer in state)
        weights = [
            (w + (0.05 * r / mean).clamp(max=1) * (o - w) - 0.01 * g / (r + 0.2 * mean)).detach()
            for w, o, g, r in zip(weights, trained, gradients, rms, strict=True)
        ]
    for found, expected in zip(lane.network.parameters(), weights, strict=True):
        torch.testing.assert_close(found.detach(), expected, atol=1e-6, rtol=1e-5)


def tied(network: LanguageModel, names: list[str], given: list[Tensor]) -> dict[str, Tensor]:
    """What a call needs for the head of a network with tied weights."""
    if "head.weight" in names:
        return {}
    return {"head.weight": given[names.index("embedding.weight")]}


def test_statistics_are_the_root_mean_square_of_the_gradients(network: LanguageModel) -> None:
    """A text of one stretch of three segments is read once, the state carried on."""
    text = np.random.default_rng(8).integers(0, VOCAB, 16).astype(np.uint8)
    squares, state = [torch.zeros_like(weight) for weight in network.parameters()], None
    ids = torch.from_numpy(text.astype(np.int64))
    for begin in (0, 5, 10):
        logits, after = network(ids[None, begin : begin + 5], state)
        state = tuple(tuple(part.detach() for part in layer) for layer in after)
        loss = torch.nn.functional.cross_entropy(logits[0], ids[begin + 1 : begin + 6])
        for total, part in zip(
            squares, torch.autograd.grad(loss, list(network.parameters())), strict=True
        ):
            total += part**2
    for found, total in zip(gather_statistics(network, text, 5), squares, strict=True):
        torch.testing.assert_close(found, (total / 3).sqrt())


@pytest.fixture
def astray(network: LanguageModel) -> DynamicPredictor:
    infinite = tuple(torch.full_like(weight, torch.inf) for weight in network.parameters())
    still = tuple(torch.zeros_like(weight) for weight in network.parameters())
    return DynamicPredictor(network, StepSizes(4, infinite, still))


def test_steps_too_large_end_in_advice(astray: DynamicPredictor) -> None:
    with pytest.raises(ModelError, match="diverges") as error:
        astray.advance(torch.zeros(1, 20, dtype=torch.long), astray.start())
    assert "smaller lr" in error.value.hint
