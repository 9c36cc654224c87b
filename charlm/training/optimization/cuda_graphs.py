"""Training steps replayed as CUDA graphs; off unless the environment says ``CHARLM_GRAPHS=1``.

A step of a character model is hundreds of small kernels, and launching them one by one takes longer
than running them.  So the forward and backward pass of a segment of the usual shape is captured
once and then replayed (``torch.cuda.make_graphed_callables``).  Unmeasured: no GPU has run it yet.
"""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from charlm.model.devices import uses_graphs
from charlm.model.heads import AdaptiveHead, MixtureHead
from charlm.model.language_model import State
from charlm.training.optimization.objective import Objective, Terms

__all__ = ["Replay", "replayed"]

Capture = Callable[..., Any]


class Replay(nn.Module):
    """An objective that replays segments of one shape and computes all others step by step."""

    def __init__(self, objective: Objective, bptt: int, state: State, capture: Capture) -> None:
        """Capture segments of ``bptt`` steps of as many lanes as ``state`` has."""
        super().__init__()
        self.objective = objective
        tokens = torch.zeros(len(state[0][0]), bptt, dtype=torch.long, device=state[0][0].device)
        self.shape = tokens.shape
        # A capture replaces the forward function of its module, so it gets a module of its own.
        captured = Objective(objective.model, objective.config, objective.precision)
        self.replay = capture(captured, (tokens, tokens.clone(), state))

    def forward(self, inputs: Tensor, targets: Tensor, state: State) -> Terms:
        """The terms of the loss of these lanes; the next replay overwrites those of a replay."""
        usual = inputs.shape == self.shape
        terms: Terms = (self.replay if usual else self.objective)(inputs, targets, state)
        return terms


def replayed(objective: Objective, bptt: int, state: State) -> nn.Module:
    """The objective, replayed if graphs are asked for, it is on a GPU and it can be captured."""
    # The amount of work of these heads depends on the tokens, which a graph cannot follow.
    varying = isinstance(objective.model.head, AdaptiveHead | MixtureHead)
    if varying or not uses_graphs(state[0][0].device):
        return objective
    try:
        return Replay(objective, bptt, state, torch.cuda.make_graphed_callables)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        warnings.warn(f"training without CUDA graphs: {reason}", stacklevel=2)
        return objective
