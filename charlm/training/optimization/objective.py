"""The loss that a step minimises: nll of the targets, and penalties on activations."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from charlm.config import TrainConfig
from charlm.data.batches import IGNORED
from charlm.model.devices import autocast
from charlm.model.language_model import LanguageModel, State

__all__ = ["Objective", "Terms"]


class Terms(NamedTuple):
    """Sum of the nll of the targets in nats, weighted mean penalty, state after the segment."""

    nll: Tensor
    penalty: Tensor
    state: State


class Objective(nn.Module):
    """``objective(inputs (B, T), targets (B, T), state)`` as one module, for ``torch.distributed``
    and CUDA graphs to wrap.
    """

    def __init__(self, model: LanguageModel, config: TrainConfig, precision: torch.dtype) -> None:
        super().__init__()
        self.model = model
        self.config = config
        self.precision = precision

    def forward(self, inputs: Tensor, targets: Tensor, state: State) -> Terms:
        """The terms of these lanes in float32, whichever precision the model computes in."""
        with autocast(inputs.device, self.precision):
            hidden, state = self.model.hidden_states(inputs, state)
            features = self.model.output_dropout(hidden)
            nll = self.model.nll(features.transpose(0, 1), targets, IGNORED)
        state = tuple(tuple(part.float() for part in layer) for layer in state)
        return Terms(nll, self.penalty(hidden, features), state)

    def penalty(self, hidden: Tensor, features: Tensor) -> Tensor:
        """The weighted penalties on size and change of the last layer's outputs (T, B, H): without
        dropout ``hidden``, with it ``features``.

        Activation and temporal activation regularisation (AR, TAR): Merity, McCann and Socher
        2017 (arXiv:1708.01009).
        """
        cost = hidden.new_zeros((), dtype=torch.float32)
        if self.config.activation_penalty:
            cost = cost + self.config.activation_penalty * features.float().square().mean()
        if self.config.temporal_penalty and len(hidden) > 1:
            change = hidden.float().diff(dim=0)
            cost = cost + self.config.temporal_penalty * change.square().mean()
        return cost
