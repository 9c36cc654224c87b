"""The textbook equations of one step of time: the reference for every faster implementation.

With x_t the input, h the hidden state, c the cell state and sigma the logistic function, each cell
takes ``projection``, the input's share W_x x_t + b of its gates, the ``state`` after step t - 1
and the recurrent weights W_h, and returns the state after step t.  The first part of a state is h,
which is also the cell's output.

Shapes: projection (B, G*H), each part of the state (B, H), weight_hh (G*H, H), with G gates.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = [
    "CELLS",
    "FUSED",
    "Cell",
    "LayerState",
    "activation_names",
    "capped_lstm",
    "cifg",
    "gru",
    "layer_norm_lstm",
    "lstm",
    "mogrify",
    "normalise",
    "rnn",
]

LayerState = tuple[Tensor, ...]
"""(h, c) for the LSTMs, (h,) for the others; each (B, H)."""

Gates = tuple[Tensor, ...]
"""The gates of a step and its candidate, each (B, H)."""

Affine = Callable[[Tensor], Tensor]


def lstm(projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
    """Long short-term memory with forget gate; gates in the order i, f, g, o.

    Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000.
    """
    return remember(lstm_gates(projection, state, weight_hh), state)


def lstm_gates(projection: Tensor, state: LayerState, weight_hh: Tensor) -> Gates:
    """Input gate, forget gate, output gate and candidate: i, f, o and g, each (B, H)."""
    i, f, g, o = (projection + state[0] @ weight_hh.T).chunk(4, dim=-1)
    return torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o), torch.tanh(g)


def remember(gates: Gates, state: LayerState) -> LayerState:
    """c = f * c + i * g and h = o * tanh(c): the state after a step with these gates."""
    i, f, o, g = gates
    c = f * state[1] + i * g
    return o * torch.tanh(c), c


def capped_lstm(projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
    """LSTM whose input gate is at most 1 - f, so that c stays within -1 and 1.

    As in the experiments of Melis, Dyer and Blunsom 2018 (arXiv:1707.05589).
    """
    return remember(capped_gates(projection, state, weight_hh), state)


def capped_gates(projection: Tensor, state: LayerState, weight_hh: Tensor) -> Gates:
    """The gates of ``lstm_gates``, the input gate at most 1 - f."""
    i, f, o, g = lstm_gates(projection, state, weight_hh)
    return torch.minimum(i, 1 - f), f, o, g


def cifg(projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
    """LSTM with coupled input and forget gates, i = 1 - f; gates in the order f, g, o.

    Greff et al. 2017 (arXiv:1503.04069).
    """
    return remember(cifg_gates(projection, state, weight_hh), state)


def cifg_gates(projection: Tensor, state: LayerState, weight_hh: Tensor) -> Gates:
    """The gates of ``lstm_gates``, the input gate 1 - f."""
    f, g, o = (projection + state[0] @ weight_hh.T).chunk(3, dim=-1)
    f = torch.sigmoid(f)
    return 1 - f, f, torch.sigmoid(o), torch.tanh(g)


def layer_norm_lstm(
    projection: Tensor,
    state: LayerState,
    weight_hh: Tensor,
    gain_h: Tensor,
    gain_c: Tensor,
    bias_c: Tensor,
) -> LayerState:
    """LSTM with layer normalisation, as in Ba, Kiros and Hinton 2016 (arXiv:1607.06450).

    The products W_x x and W_h h are each normalised over all four gates together and scaled by
    gains (4H); in ``projection`` that is done.  The output gate acts on the cell state normalised,
    scaled by ``gain_c`` and shifted by ``bias_c`` (H).
    """
    i, f, o, g = layer_norm_gates(projection, state, weight_hh, gain_h)
    c = f * state[1] + i * g
    return o * torch.tanh(gain_c * normalise(c) + bias_c), c


def layer_norm_gates(
    projection: Tensor, state: LayerState, weight_hh: Tensor, gain_h: Tensor, *_: Tensor
) -> Gates:
    """The gates of ``lstm_gates``, the recurrent product normalised."""
    product = gain_h * normalise(state[0] @ weight_hh.T)
    i, f, g, o = (projection + product).chunk(4, dim=-1)
    return torch.sigmoid(i), torch.sigmoid(f), torch.sigmoid(o), torch.tanh(g)


def normalise(features: Tensor) -> Tensor:
    """Features (..., F) with mean 0 and variance 1."""
    return torch.nn.functional.layer_norm(features, features.shape[-1:])


def mogrify(x: Tensor, h: Tensor, rounds: Iterable[Affine]) -> tuple[Tensor, Tensor]:
    """Let x (B, I) and h (B, H) gate each other in turns: 2 sigma(Q h) * x, 2 sigma(R x) * h, ...

    The Mogrifier of Melis, Kocisky and Blunsom 2020 (arXiv:1909.01792), which comes before the
    cell.  Each round maps the gating vector to the size of the gated one; Q and R are learnt.
    """
    for index, affine in enumerate(rounds):
        if index % 2 == 0:
            x = 2 * torch.sigmoid(affine(h)) * x
        else:
            h = 2 * torch.sigmoid(affine(x)) * h
    return x, h


def gru(projection: Tensor, state: LayerState, weight_hh: Tensor, bias_hn: Tensor) -> LayerState:
    """Gated recurrent unit; gates in the order r, z, n.

    Cho et al. 2014 (arXiv:1406.1078), in the form whose reset gate acts after the recurrent
    product, as in cuDNN; that form needs a bias of its own, ``bias_hn`` (H), inside the reset.
    """
    _, z, n = gru_gates(projection, state, weight_hh, bias_hn)
    return ((1 - z) * n + z * state[0],)


def gru_gates(projection: Tensor, state: LayerState, weight_hh: Tensor, bias_hn: Tensor) -> Gates:
    """Reset gate, update gate and candidate: r, z and n, each (B, H)."""
    x_r, x_z, x_n = projection.chunk(3, dim=-1)
    h_r, h_z, h_n = (state[0] @ weight_hh.T).chunk(3, dim=-1)
    r = torch.sigmoid(x_r + h_r)
    z = torch.sigmoid(x_z + h_z)
    return r, z, torch.tanh(x_n + r * (h_n + bias_hn))


def rnn(projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
    """Plain recurrent network with tanh (Elman 1990)."""
    (h,) = state
    return (torch.tanh(projection + h @ weight_hh.T),)


def no_gates(projection: Tensor, state: LayerState, weight_hh: Tensor) -> Gates:
    """Nothing: the plain network has no gates."""
    return ()


class Cell(NamedTuple):
    """A cell's step, its number of gates and state parts, and the index of its forget gate.

    ``open_gates`` takes what ``step`` takes and returns what the gates of that step are, in the
    order of ``gate_names``.
    """

    step: Callable[..., LayerState]
    gates: int
    state_parts: int
    forget: int | None = None
    open_gates: Callable[..., Gates] = lstm_gates
    gate_names: tuple[str, ...] = ("input_gate", "forget_gate", "output_gate", "candidate")


CELLS = {
    "lstm": Cell(lstm, gates=4, state_parts=2, forget=1),
    "capped_lstm": Cell(capped_lstm, 4, 2, forget=1, open_gates=capped_gates),
    "cifg": Cell(cifg, gates=3, state_parts=2, forget=0, open_gates=cifg_gates),
    "layer_norm_lstm": Cell(layer_norm_lstm, 4, 2, forget=1, open_gates=layer_norm_gates),
    "gru": Cell(
        gru, gates=3, state_parts=1, open_gates=gru_gates,
        gate_names=("reset_gate", "update_gate", "candidate"),
    ),
    "rnn": Cell(rnn, gates=1, state_parts=1, open_gates=no_gates, gate_names=()),
}  # fmt: skip


def activation_names(cell: str) -> tuple[str, ...]:
    """What describes a layer of a kind of cell at a step: gates, candidate and state, in order."""
    state = ("cell", "hidden") if CELLS[cell].state_parts > 1 else ("hidden",)
    return CELLS[cell].gate_names + state


FUSED = ("lstm", "gru", "rnn")
"""Cells of which torch has a fused layer over all steps of time."""
