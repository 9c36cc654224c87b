"""A network that notes what its gates and states are at every step, by the reference cells.

Shapes: B lanes, T steps, H hidden size, L layers.
"""

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from charlm.config import BOUNDARY_ID, ModelConfig
from charlm.model.cells import LayerState, activation_names
from charlm.model.heads import widen
from charlm.model.language_model import LanguageModel, State
from charlm.model.likelihood import evaluating
from charlm.model.stepped import SteppedLayer

__all__ = ["ObservedReader", "observed_names"]


def observed_names(config: ModelConfig) -> tuple[str, ...]:
    """What describes a layer at a step, in order: gates, candidate and state.

    With a mogrifier, before them "modulated": the hidden state of the step before, as the gates
    read it.
    """
    modulated = ("modulated",) if config.mogrifier_rounds else ()
    return modulated + activation_names(config.cell)


class ObservedLayer(SteppedLayer):
    """A layer of any cell that advances by the reference cell and keeps what it was.

    ``noted`` are the activations (B, T, H) of the last call, in the order of ``observed_names``.
    """

    noted: list[Tensor]

    def advance_all(self, projections: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """See ``RecurrentLayer``; notes the activations of all the steps."""
        weights, states = self.step_weights(*projections.shape[:2]), [state]
        for projection in projections.unbind():
            states.append(self.advance(projection, states[-1], weights))
        parts = [torch.stack(part) for part in zip(*states, strict=True)]  # each (T + 1, B, H)
        gates = self.gates(projections, [part[:-1] for part in parts], weights)
        hidden, *cells = (part[1:] for part in parts)
        self.noted = [activations.transpose(0, 1) for activations in (*gates, *cells, hidden)]
        return hidden, states[-1]

    def gates(self, projections: Tensor, before: Sequence[Tensor], weights: Any) -> list[Tensor]:
        """The gates (T, B, H) of all steps, from the states (T, B, H) before each of them; first
        the hidden state as they read it, if a mogrifier has changed it.

        With every state known, the steps are computed side by side, as if they were lanes.
        """

        def step(projection: Tensor, state: LayerState, *weights: Tensor) -> LayerState:
            read = state[:1] if len(self.mogrifier) else ()
            return read + self.cell.open_gates(projection, state, *weights)

        opener = copy(self)
        opener.cell = self.cell._replace(step=step)
        state = tuple(part.flatten(0, 1) for part in before)
        found = opener.advance(projections.flatten(0, 1), state, weights)
        return [gate.view(*projections.shape[:2], -1) for gate in found]


class ObservedNetwork(LanguageModel):
    """A ``LanguageModel`` of observed layers."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size)
        rounds = self.config.mogrifier_rounds, self.config.mogrifier_rank
        with torch.device("meta"):
            self.layers = nn.ModuleList(
                ObservedLayer(layer.kind, layer.weight_ih.shape[1], layer.hidden_size, 0.0, *rounds)
                for layer in self.recurrent_layers()
            )

    def noted(self) -> dict[str, Tensor]:
        """The activations (B, T, L, H) of the last call, by name."""
        layers = [layer for layer in self.layers if isinstance(layer, ObservedLayer)]
        parts = zip(*(layer.noted for layer in layers), strict=True)
        names = observed_names(self.config)
        return {name: torch.stack(part, dim=2) for name, part in zip(names, parts, strict=True)}


class ObservedReader:
    """Reads one stream, after a boundary, from left to right with a network that is observed.

    ``initial`` are the activations (1, L, H) of the step that reads the boundary, and ``expected``
    the log-probabilities (1, V) of the token that comes next.
    """

    def __init__(self, network: LanguageModel) -> None:
        """The weights of ``network`` are used and not copied."""
        tensors = network.tensors()
        own = ObservedNetwork.from_tensors(network.config, network.vocab_size, tensors)
        self.network = own.eval()
        self.state: State | None = None
        self.initial, self.expected = self.advance(np.array([BOUNDARY_ID]))

    def read(self, ids: np.ndarray) -> tuple[dict[str, Tensor], Tensor]:
        """ids (T,) that come next -> activations (T, L, H) by name, and the log-probabilities
        (T, V) that each id was met with.
        """
        activations, log_probs = self.advance(ids)
        met = torch.cat([self.expected, log_probs[:-1]])
        self.expected = log_probs[-1:]
        return activations, met

    def advance(self, ids: np.ndarray) -> tuple[dict[str, Tensor], Tensor]:
        """ids (T,) -> activations (T, L, H), and log-probabilities (T, V) of what follows each."""
        tokens = torch.from_numpy(ids.astype(np.int64))[None].to(self.network.head.bias.device)
        with evaluating(self.network):
            features, self.state = self.network.features(tokens, self.state)
            log_probs = widen(self.network.head(features[0])).log_softmax(dim=-1)
        return {name: noted[0] for name, noted in self.network.noted().items()}, log_probs
