"""One recurrent layer over time, computed by the fastest implementation that is at hand.

All implementations give the numbers of the reference cells in ``cells.py``, to rounding.
Letters: B lanes, T steps, I input size, H hidden size, G gates, V vocabulary.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from charlm.errors import ModelError
from charlm.model import native
from charlm.model.cells import CELLS, LayerState
from charlm.model.dropout import drop_weights

__all__ = ["RecurrentLayer", "prefers_table"]

# cuDNN copies weights that do not lie one behind the other and warns about it at each call.
warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous")

NATIVE_FROM = 128
"""Hidden size from which training uses the native scans instead of torch's layer.  A single layer
of this size is as fast with either, stacks are a tenth and more faster with the scans; measured by
``benchmarks/training_step.py`` on two cores of a Zen 5 server."""

TABLE_FROM = 64
"""Hidden size from which training uses the native scans if the inputs are rows of an embedding
(``tokens`` of ``forward``), which makes steps of this size a third faster; measured likewise."""


class RecurrentLayer(nn.Module):
    """A layer of one kind of cell: its weights, and how it advances over time.

    Parameters: ``weight_ih`` (G*H, I), ``weight_hh`` (G*H, H), ``bias`` (G*H) and, for the GRU,
    ``bias_hn`` (H).  There is one bias for each gate, as in the textbook.
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
        """Advance one step of time by the reference cell.

        ``projection`` (B, G*H) is what ``project`` gave for the step; returns the next state.
        """
        return self.advance(projection, state, self.weight_hh)

    def advance(self, projection: Tensor, state: LayerState, weights: Any) -> LayerState:
        """Advance one step of time with weights that ``step_weights`` has prepared."""
        if self.kind == "gru":
            return self.cell.step(projection, state, weights, self.bias_hn)
        return self.cell.step(projection, state, weights)

    def step_weights(self, steps: int, lanes: int) -> Any:
        """The recurrent weights for ``steps`` calls of ``advance`` on ``lanes``.

        In training some are dropped, with one mask for all the steps.
        """
        return self.recurrent_weights()

    def forward(
        self, inputs: Tensor, state: LayerState, tokens: Tensor | None = None
    ) -> tuple[Tensor, LayerState]:
        """inputs (T, B, I) and a state -> hidden states (T, B, H) and the last state.

        With ``tokens`` (T, B) the inputs are the rows that they name of an embedding (V, I); the
        native path multiplies each row by the weights only once if there are fewer rows than
        tokens.  Raises ``ModelError`` for a state of another shape.
        """
        if not native.recording():
            self.check(state, lanes=(inputs if tokens is None else tokens).shape[1])
        if tokens is not None:
            if prefers_table(inputs, tokens):
                kernels = self.native_kernels(inputs, state, TABLE_FROM)
                if kernels is not None:
                    return native.fused_lstm(kernels, inputs, state, self.weights(), tokens)
            inputs = nn.functional.embedding(tokens, inputs)
        if native.recording():
            # A decision about sizes would be recorded too, and hold for these sizes only.
            return self.torch_layer(inputs, state)
        if len(inputs) == 1 and not native.learns(inputs, *state, *self.parameters()):
            last = self.advance(self.project(inputs[0]), state, self.recurrent_weights())
            return last[0][None], last
        kernels = self.native_kernels(inputs, state, NATIVE_FROM)
        if kernels is None:
            return self.torch_layer(inputs, state)
        return native.fused_lstm(kernels, inputs, state, self.weights())

    def weights(self) -> tuple[Tensor, ...]:
        """What fused layers multiply by: input weights, recurrent weights, bias."""
        return self.weight_ih, self.recurrent_weights(), self.bias

    def recurrent_weights(self) -> Tensor:
        """``weight_hh``, in training with some dropped; each call draws a new mask."""
        return drop_weights(self.weight_hh, self.weight_drop, self.training)

    def check(self, state: LayerState, lanes: int) -> None:
        """Raise ``ModelError`` for a state of another shape, which no fused layer would notice."""
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
        """The native kernels if they can compute this layer, ``None`` otherwise.

        In training they are used for hidden sizes from ``smallest`` on.
        """
        tensors = (inputs, *state, *self.parameters())
        if self.kind != "lstm" or not native.suits(*tensors):
            return None
        learns = native.learns(*tensors)
        if self.hidden_size < smallest and learns:
            return None
        if inputs.shape[-1] != self.weight_ih.shape[1] or not inputs.numel():
            return None  # torch raises the error for shapes that do not fit
        return native.kernels(native.gradients_agree if learns else native.scans_agree)

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
        return self.advance_all(self.project(inputs), state)

    def advance_all(self, projections: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Advance over all steps of what ``project`` gave (T, B, ...), one after the other.

        Returns the hidden states (T, B, H) and the last state.
        """
        weights, hidden = self.step_weights(*projections.shape[:2]), []
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


def prefers_table(embedding: Tensor, tokens: Tensor) -> bool:
    """Whether a product for each row of embedding (V, I) costs less than one for each of
    tokens (T, B); not while operations are recorded, when both sizes may change later.
    """
    return not native.recording() and 2 * len(embedding) <= tokens.numel()
