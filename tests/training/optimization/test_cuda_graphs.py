"""Replayed steps are the steps; the capture itself needs a GPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import _pytree as pytree

from charlm.config import ModelConfig, TrainConfig
from charlm.data.batches import Segments
from charlm.model.language_model import LanguageModel
from charlm.training.distributed import World
from charlm.training.learner import Learner
from charlm.training.optimization import cuda_graphs as graphs
from charlm.training.optimization.cuda_graphs import Replay
from charlm.training.optimization.objective import Objective, Terms

torch.set_num_threads(1)
TEXT = np.random.default_rng(3).integers(0, 7, 4 * 50 + 1).astype(np.uint8)


def imitate(objective: Objective, sample: tuple[Any, ...]) -> Callable[..., Terms]:
    """Like ``torch.cuda.make_graphed_callables``: what goes in is copied to a fixed place, and
    what came out is lost at the next call."""
    places = [leaf.clone() for leaf in pytree.tree_leaves(sample)]
    spec = pytree.tree_structure(sample)
    earlier: list[torch.Tensor] = []

    def replay(*given: Any) -> Terms:
        for place, leaf in zip(places, pytree.tree_leaves(given), strict=True):
            assert place.shape == leaf.shape
            place.copy_(leaf)
        for old in earlier:
            old.detach().fill_(torch.nan)
        terms = objective(*pytree.tree_unflatten([place.clone() for place in places], spec))
        earlier[:] = pytree.tree_leaves(terms)
        return terms

    return replay


def losses(config: TrainConfig, replay: bool) -> list[float]:
    """Of two epochs, each of them with a last segment that is shorter."""
    model = LanguageModel.create(ModelConfig(hidden_size=6, dropout=0.3), 7, seed=1)
    learner = Learner(model, Segments(TEXT, 4, 8, 1, 0.1, config.random_bptt), config, World())
    if replay:
        learner.objective = Replay(learner.objective, 8, learner.state, imitate)
    return [learner.learn(step, 0.02).loss for step in range(14)]


@pytest.mark.parametrize("random_bptt", [False, True])
def test_replayed_steps_are_the_steps(random_bptt: bool) -> None:
    config = TrainConfig(
        steps=14, random_bptt=random_bptt, activation_penalty=0.5, temporal_penalty=0.5
    )
    assert losses(config, replay=True) == losses(config, replay=False)


def test_what_cannot_be_captured_is_computed_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no capture here\nand why")

    model = LanguageModel.create(ModelConfig(hidden_size=6), 7, seed=1)
    objective = Objective(model, TrainConfig(steps=1), torch.float32)
    monkeypatch.setattr(graphs, "uses_graphs", lambda device: True)
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", refuse)
    with pytest.warns(UserWarning, match="^training without CUDA graphs: no capture here$"):
        assert graphs.replayed(objective, 8, model.zero_state(2)) is objective


def test_nothing_is_captured_without_a_gpu() -> None:
    model = LanguageModel.create(ModelConfig(hidden_size=6), 7, seed=1)
    objective = Objective(model, TrainConfig(steps=1), torch.float32)
    assert graphs.replayed(objective, 8, model.zero_state(2)) is objective
