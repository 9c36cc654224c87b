"""Recurrent layers that no fused kernel computes: walked step by step with their cell.

Letters: B lanes, T steps, I input size, H hidden size, G gates, R rounds, k rank.
"""

import torch
from torch import Tensor, nn

from charlm.model.cells import LayerState, mogrify, normalise
from charlm.model.recurrence import RecurrentLayer

__all__ = ["Mogrifier", "SteppedLayer"]


class Mogrifier(nn.ModuleList):
    """R rounds in which input and hidden state gate each other (``cells.mogrify``).

    Each round is an affine map, of rank k if one is given; with biases, as in the authors' code.
    """

    def __init__(self, input_size: int, hidden_size: int, rounds: int, rank: int | None) -> None:
        sizes = [(hidden_size, input_size), (input_size, hidden_size)]
        super().__init__(make_affine(*sizes[index % 2], rank) for index in range(rounds))


def make_affine(inputs: int, outputs: int, rank: int | None) -> nn.Module:
    """An affine map whose matrix is whole or the product of two narrow ones."""
    if rank is None:
        return nn.Linear(inputs, outputs)
    return nn.Sequential(nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs))


class SteppedLayer(RecurrentLayer):
    """A ``RecurrentLayer`` of any cell, with a ``Mogrifier`` before it if there are rounds.

    The cell ``layer_norm_lstm`` has the parameters ``gain_x`` and ``gain_h`` (G*H), ``gain_c`` and
    ``bias_c`` (H) besides.  With a mogrifier no product can be taken before its step, because the
    input depends on the state: ``project`` then hands the input on and ``advance`` does it all.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        weight_drop: float = 0.0,
        mogrifier_rounds: int = 0,
        mogrifier_rank: int | None = None,
    ) -> None:
        super().__init__(cell, input_size, hidden_size, weight_drop)
        if cell == "layer_norm_lstm":
            self.gain_x, self.gain_h = (nn.Parameter(torch.empty_like(self.bias)) for _ in range(2))
            self.gain_c, self.bias_c = (nn.Parameter(torch.empty(hidden_size)) for _ in range(2))
        self.mogrifier = Mogrifier(input_size, hidden_size, mogrifier_rounds, mogrifier_rank)

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights as other layers do; normalisation begins without any change."""
        super().initialise(generator)
        if self.kind == "layer_norm_lstm":
            for gain in (self.gain_x, self.gain_h, self.gain_c):
                nn.init.ones_(gain)
            nn.init.zeros_(self.bias_c)

    def project(self, inputs: Tensor) -> Tensor:
        """The inputs' share of the gates (..., G*H); the inputs (..., I) if they are mogrified."""
        return inputs if len(self.mogrifier) else self.input_product(inputs)

    def input_product(self, inputs: Tensor) -> Tensor:
        """W_x x + b: (..., I) -> (..., G*H), the product normalised if the cell's is."""
        if self.kind != "layer_norm_lstm":
            return super().project(inputs)
        return self.gain_x * normalise(inputs @ self.weight_ih.T) + self.bias

    def advance(self, projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
        """What ``project`` gave of a step (B, ...) and a state -> the next state."""
        if len(self.mogrifier):
            x, h = mogrify(projection, state[0], self.mogrifier)
            projection, state = self.input_product(x), (h, *state[1:])
        if self.kind != "layer_norm_lstm":
            return super().advance(projection, state, weight_hh)
        scales = (self.gain_h, self.gain_c, self.bias_c)
        return self.cell.step(projection, state, weight_hh, *scales)

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Walk over time: inputs (T, B, I) and a state -> hidden states (T, B, H), last state."""
        self.check(state, lanes=inputs.shape[1])
        return self.walk(self.project(inputs), state)

    def forward_tokens(
        self, embedding: Tensor, tokens: Tensor, state: LayerState
    ) -> tuple[Tensor, LayerState]:
        """``forward(embedding[tokens], state)`` for embedding (V, I) and tokens (T, B)."""
        self.check(state, lanes=tokens.shape[1])
        if 2 * len(embedding) > tokens.numel():
            return self.forward(nn.functional.embedding(tokens, embedding), state)
        return self.walk(nn.functional.embedding(tokens, self.project(embedding)), state)
