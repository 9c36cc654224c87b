"""Optimizers made without the wrappers of torch.compile."""

import copy

import pytest
import torch
from torch import nn

from charlm.config import TrainConfig
from charlm.training.optimization.optimizers import make_optimizer


@pytest.mark.parametrize(
    ("kind", "original", "own"),
    [
        ("adamw", torch.optim.AdamW, {"betas": (0.9, 0.99), "fused": True}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9}),
    ],
)
def test_an_optimizer_steps_exactly_as_that_of_torch(
    kind: str, original: type[torch.optim.Optimizer], own: dict[str, object]
) -> None:
    config = TrainConfig(
        optimizer=kind, learning_rate=0.1, weight_decay=0.01, beta1=0.9, beta2=0.99, momentum=0.9
    ).with_defaults()
    ours = nn.Linear(3, 2)
    theirs = copy.deepcopy(ours)
    groups = [
        {"params": [theirs.weight], "weight_decay": 0.01},
        {"params": [theirs.bias], "weight_decay": 0.0},
    ]
    optimizers = {
        ours: make_optimizer(config, ours, torch.device("cpu")),
        theirs: original(groups, lr=0.1, **own),
    }
    inputs = torch.randn(5, 3)
    for model, optimizer in optimizers.items():
        for _ in range(4):
            optimizer.zero_grad(set_to_none=True)
            model(inputs).square().sum().backward()
            optimizer.step()
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
