"""Recurrent layers that no fused kernel computes: walked step by step with their cell.

Letters: B lanes, T steps, I input size, H hidden size, G gates, R rounds, k rank.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from charlm.model import native
from charlm.model.affine import Linear
from charlm.model.cells import Affine, LayerState, mogrify, normalise
from charlm.model.recurrence import RecurrentLayer

__all__ = ["Mogrifier", "SteppedLayer"]

PACKED_FROM = 256
"""The hidden size from which packing the weights for a walk makes training faster: by a quarter,
and twice as fast with a mogrifier of 512 (benchmarks/training_step.py)."""

PACKED_TOKENS = 64
"""How many tokens a walk has at least for that."""

Matrix = Tensor | native.StepWeight


class Mogrifier(nn.ModuleList):
    """R rounds in which input and hidden state gate each other (``cells.mogrify``).

    Each round is an affine map, of rank k if one is given; with biases, as in the authors' code.
    """

    def __init__(self, input_size: int, hidden_size: int, rounds: int, rank: int | None) -> None:
        sizes = [(hidden_size, input_size), (input_size, hidden_size)]
        super().__init__(make_affine(*sizes[index % 2], rank) for index in range(rounds))

    def packed(self, pack: Callable[[Tensor], Matrix]) -> list[Affine]:
        """The rounds' maps, their matrices packed."""
        return [packed_affine(affine, pack) for affine in self]


def make_affine(inputs: int, outputs: int, rank: int | None) -> nn.Module:
    """An affine map whose matrix is whole or the product of two narrow ones."""
    if rank is None:
        return Linear(inputs, outputs)
    return nn.Sequential(Linear(inputs, rank, bias=False), Linear(rank, outputs))


def packed_affine(affine: nn.Module, pack: Callable[[Tensor], Matrix]) -> Affine:
    """What ``make_affine`` made, its matrices packed."""
    linears = [part for part in affine.modules() if isinstance(part, nn.Linear)]
    *narrow, last = (pack(linear.weight).T for linear in linears)

    def apply(x: Tensor) -> Tensor:
        for matrix in narrow:
            x = x @ matrix
        return x @ last + linears[-1].bias

    return apply


def as_it_is(weight: Tensor) -> Tensor:
    """Not packed."""
    return weight


class Weights(NamedTuple):
    """What all steps of a walk multiply by, as it is or packed."""

    recurrent: Matrix
    inputs: Matrix
    rounds: list[Affine]


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
        return inputs if len(self.mogrifier) else self.input_product(inputs, self.weight_ih)

    def input_product(self, inputs: Tensor, weight_ih: Matrix) -> Tensor:
        """W_x x + b: (..., I) -> (..., G*H), the product normalised if the cell's is."""
        product = inputs @ weight_ih.T
        if self.kind == "layer_norm_lstm":
            product = self.gain_x * normalise(product)
        return product + self.bias

    def step(self, projection: Tensor, state: LayerState) -> LayerState:
        """One step of time: what ``project`` gave of it (B, ...) and a state -> the next state."""
        weights = Weights(self.weight_hh, self.weight_ih, list(self.mogrifier))
        return self.advance(projection, state, weights)

    def weights_to_walk(self, shape: tuple[int, int]) -> Weights:
        """Those of ``step``, some of the recurrent ones dropped; packed where that pays."""
        pack = self.packing(shape)
        inputs = pack(self.weight_ih) if len(self.mogrifier) else self.weight_ih
        return Weights(pack(self.recurrent_weights()), inputs, self.mogrifier.packed(pack))

    def packing(self, shape: tuple[int, int]) -> Callable[[Tensor], Matrix]:
        """How a walk has its weights: natively packed in training, otherwise as they are."""
        parameters = tuple(self.parameters())
        large = self.hidden_size >= PACKED_FROM and shape[0] * shape[1] >= PACKED_TOKENS
        kernels = None
        if large and native.learns(*parameters) and native.suits(*parameters):
            kernels = native.kernels()
        return partial(native.StepWeight, kernels, shape) if kernels else as_it_is

    def advance(self, projection: Tensor, state: LayerState, weights: Weights) -> LayerState:
        """The same with what ``weights_to_walk`` gave."""
        if weights.rounds:
            x, h = mogrify(projection, state[0], weights.rounds)
            projection, state = self.input_product(x, weights.inputs), (h, *state[1:])
        if self.kind != "layer_norm_lstm":
            return super().advance(projection, state, weights.recurrent)
        scales = (self.gain_h, self.gain_c, self.bias_c)
        return self.cell.step(projection, state, weights.recurrent, *scales)

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
