"""Recurrent layers that no fused kernel computes: their cell advances one step after the other.

Letters: B lanes, T steps, I input size, H hidden size, G gates, V vocabulary, R rounds and
k rank of a mogrifier.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from charlm.model import native
from charlm.model.affine import Linear
from charlm.model.cells import Affine, LayerState, mogrify, normalise
from charlm.model.recurrence import RecurrentLayer, prefers_table

__all__ = ["Mogrifier", "SteppedLayer"]

PACKED_FROM = 256
"""Hidden size from which training packs the weights once for all steps of a segment.  That is a
quarter faster, with a mogrifier of 512 units twice as fast; measured by
``benchmarks/training_step.py`` on two cores of a Zen 5 server."""

PACKED_TOKENS = 64
"""Tokens of a segment (steps times lanes) from which the weights are packed: fewer do not repay
the packing."""

Matrix = Tensor | native.StepWeight


class Mogrifier(nn.ModuleList):
    """R rounds in which input and hidden state gate each other (``cells.mogrify``).

    Each round is an affine map, of rank k if one is given; with biases, as in the authors' code.
    """

    def __init__(self, input_size: int, hidden_size: int, rounds: int, rank: int | None) -> None:
        sizes = [(hidden_size, input_size), (input_size, hidden_size)]
        super().__init__(make_affine(*sizes[index % 2], rank) for index in range(rounds))

    def packed(self, pack: Callable[[Tensor], Matrix]) -> list[Affine]:
        """The affine maps of the rounds with their matrices prepared by ``pack``."""
        return [packed_affine(affine, pack) for affine in self]


def make_affine(inputs: int, outputs: int, rank: int | None) -> nn.Module:
    """An affine map whose matrix is whole or the product of two narrow ones."""
    if rank is None:
        return Linear(inputs, outputs)
    return nn.Sequential(Linear(inputs, rank, bias=False), Linear(rank, outputs))


def packed_affine(affine: nn.Module, pack: Callable[[Tensor], Matrix]) -> Affine:
    """A map of ``make_affine`` as a function whose matrices are prepared by ``pack``."""
    linears = [part for part in affine.modules() if isinstance(part, nn.Linear)]
    *narrow, last = (pack(linear.weight).T for linear in linears)

    def apply(x: Tensor) -> Tensor:
        for matrix in narrow:
            x = x @ matrix
        return x @ last + linears[-1].bias

    return apply


def unpacked(weight: Tensor) -> Tensor:
    """The weight itself: what packs it where packing does not pay."""
    return weight


class StepWeights(NamedTuple):
    """What every step of a segment multiplies by, packed or not."""

    recurrent: Matrix
    inputs: Matrix
    rounds: list[Affine]


class SteppedLayer(RecurrentLayer):
    """A ``RecurrentLayer`` of any cell, with a ``Mogrifier`` before it if there are rounds.

    The cell ``layer_norm_lstm`` has the parameters ``gain_x`` and ``gain_h`` (G*H), ``gain_c`` and
    ``bias_c`` (H) besides.  With a mogrifier no product can be taken before its step, because the
    input depends on the state: ``project`` returns the input and ``advance`` multiplies it.
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
        """Draw fresh weights as other layers do; gains of a normalisation start at 1."""
        super().initialise(generator)
        if self.kind == "layer_norm_lstm":
            for gain in (self.gain_x, self.gain_h, self.gain_c):
                nn.init.ones_(gain)
            nn.init.zeros_(self.bias_c)

    def project(self, inputs: Tensor) -> Tensor:
        """The inputs' share of the gates: (..., I) -> (..., G*H).

        With a mogrifier the inputs (..., I) are returned, for ``advance`` to change and multiply.
        """
        return inputs if len(self.mogrifier) else self.input_product(inputs, self.weight_ih)

    def input_product(self, inputs: Tensor, weight_ih: Matrix) -> Tensor:
        """W_x x + b: (..., I) -> (..., G*H), the product normalised if the cell's is."""
        product = inputs @ weight_ih.T
        if self.kind == "layer_norm_lstm":
            product = self.gain_x * normalise(product)
        return product + self.bias

    def step(self, projection: Tensor, state: LayerState) -> LayerState:
        """Advance one step of time: what ``project`` gave (B, ...) and a state -> next state."""
        weights = StepWeights(self.weight_hh, self.weight_ih, list(self.mogrifier))
        return self.advance(projection, state, weights)

    def step_weights(self, steps: int, lanes: int) -> StepWeights:
        """The weights for ``steps`` calls of ``advance`` on ``lanes``, packed where that pays.

        In training some of the recurrent weights are dropped, with one mask for all the steps.
        """
        pack = self.packing(steps, lanes)
        inputs = pack(self.weight_ih) if len(self.mogrifier) else self.weight_ih
        return StepWeights(pack(self.recurrent_weights()), inputs, self.mogrifier.packed(pack))

    def packing(self, steps: int, lanes: int) -> Callable[[Tensor], Matrix]:
        """How to prepare a weight for a segment: natively packed in large training, else not."""
        parameters = tuple(self.parameters())
        kernels = None
        trains = native.learns(*parameters) and native.suits(*parameters)
        if trains and self.hidden_size >= PACKED_FROM and steps * lanes >= PACKED_TOKENS:
            kernels = native.kernels()
        return partial(native.StepWeight, kernels, (steps, lanes)) if kernels else unpacked

    def advance(self, projection: Tensor, state: LayerState, weights: StepWeights) -> LayerState:
        """Advance one step of time with weights that ``step_weights`` has prepared."""
        if weights.rounds:
            x, h = mogrify(projection, state[0], weights.rounds)
            projection, state = self.input_product(x, weights.inputs), (h, *state[1:])
        if self.kind != "layer_norm_lstm":
            return super().advance(projection, state, weights.recurrent)
        scales = (self.gain_h, self.gain_c, self.bias_c)
        return self.cell.step(projection, state, weights.recurrent, *scales)

    def forward(
        self, inputs: Tensor, state: LayerState, tokens: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """What ``RecurrentLayer.forward`` computes from inputs (T, B, I), or from an embedding
        (V, I) and the tokens (T, B) that name its rows.
        """
        if not native.recording():
            self.check(state, lanes=(inputs if tokens is None else tokens).shape[1])
        if tokens is not None and prefers_table(inputs, tokens):
            projections = nn.functional.embedding(tokens, self.project(inputs))
        else:
            inputs = inputs if tokens is None else nn.functional.embedding(tokens, inputs)
            projections = self.project(inputs)
        return self.advance_all(projections, state)
