"""Steps that a GPU is told at once: CUDA graphs of the forward and backward pass.

A step of a character model is hundreds of small kernels, and telling a GPU one by one takes longer
than running them.  So segments of the usual shape are captured once and then replayed
(``torch.cuda.make_graphed_callables``).  ``CHARLM_GRAPHS=0`` switches that off.
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
    """An objective that replays segments of one shape and computes all others as ever."""

    def __init__(self, objective: Objective, bptt: int, state: State, capture: Capture) -> None:
        """Capture segments of ``bptt`` steps of the lanes of ``state``."""
        super().__init__()
        self.objective = objective
        tokens = torch.zeros(len(state[0][0]), bptt, dtype=torch.long, device=state[0][0].device)
        self.shape = tokens.shape
        # One of its own: what is captured is bound to the module that it was captured from.
        captured = Objective(objective.model, objective.config, objective.precision)
        self.replay = capture(captured, (tokens, tokens.clone(), state))

    def forward(self, inputs: Tensor, targets: Tensor, state: State) -> Terms:
        """The terms of these lanes.  Those of a replay last until the next one."""
        usual = inputs.shape == self.shape
        terms: Terms = (self.replay if usual else self.objective)(inputs, targets, state)
        return terms


def replayed(objective: Objective, bptt: int, state: State) -> nn.Module:
    """The objective, replayed where it lives on a GPU and can be captured."""
    # How much the two heads compute depends on the tokens.
    varying = isinstance(objective.model.head, AdaptiveHead | MixtureHead)
    if varying or not uses_graphs(state[0][0].device):
        return objective
    try:
        return Replay(objective, bptt, state, torch.cuda.make_graphed_callables)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        warnings.warn(f"training without CUDA graphs: {reason}", stacklevel=2)
        return objective
