"""What training minimises beside the surprise: penalties on activations."""

import pytest
import torch

from charlm.config import ModelConfig, TrainConfig
from charlm.data.batches import Segments
from charlm.model.language_model import LanguageModel
from charlm.training.distributed import World
from charlm.training.learner import Learner
from charlm.training.optimization.objective import Objective
from tests.training.test_loop import TOKENS


def make_objective(dropout: float = 0.0, **training: object) -> Objective:
    model = LanguageModel.create(ModelConfig(hidden_size=8, dropout=dropout), 32, seed=1)
    return Objective(model, TrainConfig(**training), torch.float32)


def make_learner(**training: object) -> Learner:
    config = TrainConfig(batch_size=6, bptt=8, **training)
    model = LanguageModel.create(ModelConfig(hidden_size=16, dropout=0), 32, seed=1)
    return Learner(model, Segments(TOKENS, 6, 8, seed=1), config, World())


def test_the_penalties_are_mean_squares_of_outputs_and_of_their_changes() -> None:
    hidden = torch.tensor([[[1.0, 2.0]], [[3.0, 2.0]], [[3.0, 5.0]]])  # (T, B, H)
    dropped = 2 * hidden
    activation = make_objective(activation_penalty=3.0).penalty(hidden, dropped)
    temporal = make_objective(temporal_penalty=0.5).penalty(hidden, dropped)
    assert activation.item() == pytest.approx(3 * 4 * (1 + 4 + 9 + 4 + 9 + 25) / 6)
    assert temporal.item() == pytest.approx(0.5 * (4 + 0 + 0 + 9) / 4)


def test_one_step_of_time_has_no_change() -> None:
    objective = make_objective(temporal_penalty=1.0)
    assert objective.penalty(torch.ones(1, 2, 3), torch.ones(1, 2, 3)).item() == 0


def test_only_the_activation_penalty_sees_dropout() -> None:
    """As published: AR on what the head reads, TAR on the states themselves."""
    objective = make_objective(dropout=0.5, activation_penalty=1.0, temporal_penalty=1.0).train()
    inputs, state = torch.ones(4, 6, dtype=torch.int64), objective.model.zero_state(4)
    penalties = {objective(inputs, inputs, state).penalty.item() for _ in range(3)}
    assert len(penalties) == 3
    objective.config = TrainConfig(temporal_penalty=1.0)
    assert len({objective(inputs, inputs, state).penalty.item() for _ in range(3)}) == 1


def test_the_reported_loss_is_the_nll_without_penalties() -> None:
    plain, penalised = make_learner(), make_learner(activation_penalty=5.0, temporal_penalty=5.0)
    assert plain.learn(0, 0.0).loss == penalised.learn(0, 0.0).loss
    before, after = plain.model.layers[0].weight_hh.grad, penalised.model.layers[0].weight_hh.grad
    assert not torch.allclose(before, after)


def test_penalties_of_parts_give_the_penalty_of_the_whole() -> None:
    penalties = {"activation_penalty": 2.0, "temporal_penalty": 1.0, "clip": 0.0}
    whole, parts = make_learner(**penalties), make_learner(**penalties, accumulate=4)
    for learner in (whole, parts):
        learner.learn(0, 0.0)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4)


def test_a_strong_penalty_makes_outputs_small() -> None:
    sizes = []
    for penalty in (0.0, 30.0):
        learner = make_learner(activation_penalty=penalty)
        for step in range(30):
            learner.learn(step, 0.01)
        features, _ = learner.model.eval().features(learner.segments[0].inputs)
        sizes.append(features.square().mean().item())
    assert sizes[1] < sizes[0] / 4


def test_the_learning_rate_follows_the_length_of_a_random_segment() -> None:
    config = TrainConfig(batch_size=4, bptt=10, random_bptt=True, optimizer="sgd", weight_decay=0.0)
    model = LanguageModel.create(ModelConfig(hidden_size=8, dropout=0), 32, seed=1)
    segments = Segments(TOKENS, 4, 10, seed=1, random_bptt=True)
    learner = Learner(model, segments, config, World())
    rates = set()
    for step in range(8):
        learner.learn(step, 0.5)
        rate = learner.optimizer.param_groups[0]["lr"]
        assert rate == pytest.approx(0.5 * segments[step].inputs.shape[1] / 10)
        rates.add(rate)
    assert len(rates) > 1
