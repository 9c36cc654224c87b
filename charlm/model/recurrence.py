"""One recurrent layer over time; picks the fastest implementation that gives the same numbers.

Letters: B lanes, T steps, I input size, H hidden size, G gates.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from charlm.errors import ModelError
from charlm.model import native
from charlm.model.cells import CELLS, LayerState
from charlm.model.dropout import drop_weights

__all__ = ["RecurrentLayer"]

# On a GPU cuDNN copies weights that do not lie one behind the other; it need not say so each time.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")

NATIVE_FROM = 128
"""The hidden size from which a training step on the native scans is faster than on torch's layer:
as fast in a single layer, by a tenth and more in stacks (benchmarks/training_step.py)."""

TABLE_FROM = 64
"""The same where the inputs are rows of an embedding (``forward_tokens``): by a third and more."""


class RecurrentLayer(nn.Module):
    """A layer of one kind of cell: weights, and the walk over time.

    Parameters: ``weight_ih`` (G*H, I), ``weight_hh`` (G*H, H), ``bias`` (G*H) and, for the GRU,
    ``bias_hn`` (H).  There is one bias a gate, as in the textbook.
    """

    def __init__(
        self, cell: str, input_size: int, hidden_size: int, weight_drop: float = 0.0
    ) -> None:
        super().__init__()
        self.cell = CELLS[cell]
        self.kind = cell
        rows = self.cell.gates * hidden_size
        self.hidden_size = hidden_size
        self.weight_drop = weight_drop
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias = nn.Parameter(torch.empty(rows))
        if cell == "gru":
            self.bias_hn = nn.Parameter(torch.empty(hidden_size))

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights: inputs Xavier, recurrent orthogonal gate by gate, forget bias 1.

        Glorot and Bengio 2010; Saxe et al. 2014 (arXiv:1312.6120); Jozefowicz et al. 2015.
        """
        size = self.hidden_size
        with torch.no_grad():
            for gate in self.weight_ih.chunk(self.cell.gates):
                nn.init.xavier_uniform_(gate, generator=generator)
            for gate in self.weight_hh.chunk(self.cell.gates):
                nn.init.orthogonal_(gate, generator=generator)
            self.bias.zero_()
            if self.cell.forget is not None:
                self.bias[size * self.cell.forget : size * (self.cell.forget + 1)] = 1.0
            if self.kind == "gru":
                self.bias_hn.zero_()

    def zero_state(self, lanes: int) -> LayerState:
        """The state before any input: zeros, each part (B, H)."""
        shape = (self.cell.state_parts, lanes, self.hidden_size)
        return tuple(self.weight_hh.new_zeros(shape).unbind())

    def project(self, inputs: Tensor) -> Tensor:
        """The inputs' share of the gates, W_x x + b: (..., I) -> (..., G*H)."""
        return nn.functional.linear(inputs, self.weight_ih, self.bias)

    def step(self, projection: Tensor, state: LayerState) -> LayerState:
        """One step of time by the reference cell: (B, G*H) and a state -> the next state."""
        return self.advance(projection, state, self.weight_hh)

    def advance(self, projection: Tensor, state: LayerState, weight_hh: Any) -> LayerState:
        """The same with what ``weights_to_walk`` gave."""
        if self.kind == "gru":
            return self.cell.step(projection, state, weight_hh, self.bias_hn)
        return self.cell.step(projection, state, weight_hh)

    def weights_to_walk(self, shape: tuple[int, int]) -> Any:
        """What a walk of the shape (T, B) multiplies by: recurrent weights, some dropped."""
        return self.recurrent_weights()

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Walk over time: inputs (T, B, I) and a state -> hidden states (T, B, H), last state.

        Raises ``ModelError`` for a state of another shape.
        """
        self.check(state, lanes=inputs.shape[1])
        if len(inputs) == 1 and not native.learns(inputs, *state, *self.parameters()):
            last = self.step(self.project(inputs[0]), state)
            return last[0][None], last
        kernels = self.native_kernels(inputs, state, NATIVE_FROM)
        if kernels is None:
            return self.torch_layer(inputs, state)
        return native.fused_lstm(kernels, inputs, state, self.weights())

    def forward_tokens(
        self, embedding: Tensor, tokens: Tensor, state: LayerState
    ) -> tuple[Tensor, LayerState]:
        """``forward(embedding[tokens], state)`` for embedding (V, I) and tokens (T, B).

        Natively and with fewer rows than tokens, each row meets the weights only once.
        """
        self.check(state, lanes=tokens.shape[1])
        kernels = self.native_kernels(embedding, state, TABLE_FROM)
        if kernels is None or 2 * len(embedding) > tokens.numel():
            return self.forward(nn.functional.embedding(tokens, embedding), state)
        return native.fused_lstm(kernels, embedding, state, self.weights(), tokens)

    def weights(self) -> tuple[Tensor, ...]:
        """What the fused layers take: input weights, recurrent weights, bias."""
        return self.weight_ih, self.recurrent_weights(), self.bias

    def recurrent_weights(self) -> Tensor:
        """``weight_hh``, in training with some dropped; each call draws anew."""
        return drop_weights(self.weight_hh, self.weight_drop, self.training)

    def check(self, state: LayerState, lanes: int) -> None:
        """Refuse a state of another shape: neither torch's layer nor the native one would look."""
        wanted = [(lanes, self.hidden_size)] * self.cell.state_parts
        received = [tuple(part.shape) for part in state]
        if received != wanted:
            raise ModelError(
                f"the state has the shapes {received}, the layer needs {wanted}",
                "carry the state of the same lanes, or pass none to start from zeros",
            )

    def native_kernels(
        self, inputs: Tensor, state: LayerState, smallest: int
    ) -> native.Kernels | None:
        """The native scans if they compute this; in training for sizes from ``smallest`` on."""
        tensors = (inputs, *state, *self.parameters())
        if self.kind != "lstm" or not native.suits(*tensors):
            return None
        if self.hidden_size < smallest and native.learns(*tensors):
            return None
        if inputs.shape[-1] != self.weight_ih.shape[1] or not inputs.numel():
            return None  # torch's to refuse
        return native.kernels()

    def torch_layer(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """What ``forward`` computes, by torch's own fused layer."""
        parts = tuple(part.unsqueeze(0).contiguous() for part in state)
        weights = [*self.weights(), self.recurrent_bias()]
        # biases, 1 layer, no dropout, training, one direction, time first
        options = (True, 1, 0.0, self.training, False, False)
        if self.kind == "lstm":
            hidden, *last = torch.lstm(inputs, parts, weights, *options)
        elif self.kind == "gru":
            hidden, *last = torch.gru(inputs, parts[0], weights, *options)
        else:
            hidden, *last = torch.rnn_tanh(inputs, parts[0], weights, *options)
        return hidden, tuple(part.squeeze(0) for part in last)

    def reference(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """What ``forward`` computes, step by step with the cell of ``cells.py``."""
        return self.walk(self.project(inputs), state)

    def walk(self, projections: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """The steps of time one after the other: what ``project`` gave (T, B, ...) and a state."""
        weights, hidden = self.weights_to_walk((len(projections), projections.shape[1])), []
        for projection in projections.unbind():
            state = self.advance(projection, state, weights)
            hidden.append(state[0])
        return torch.stack(hidden), state

    def recurrent_bias(self) -> Tensor:
        """The second bias that torch's fused layers ask for: zeros but for the GRU's candidate."""
        zeros = torch.zeros_like(self.bias)
        if self.kind == "gru":
            return torch.cat([zeros[: 2 * self.hidden_size], self.bias_hn])
        return zeros
