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

Affine = Callable[[Tensor], Tensor]


def lstm(projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
    """Long short-term memory with forget gate; gates in the order i, f, g, o.

    Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000.
    """
    h, c = state
    i, f, g, o = (projection + h @ weight_hh.T).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


def capped_lstm(projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
    """LSTM whose input gate is at most 1 - f, so that c stays within -1 and 1.

    As in the experiments of Melis, Dyer and Blunsom 2018 (arXiv:1707.05589).
    """
    h, c = state
    i, f, g, o = (projection + h @ weight_hh.T).chunk(4, dim=-1)
    f = torch.sigmoid(f)
    c = f * c + torch.minimum(torch.sigmoid(i), 1 - f) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


def cifg(projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
    """LSTM with coupled input and forget gates, i = 1 - f; gates in the order f, g, o.

    Greff et al. 2017 (arXiv:1503.04069).
    """
    h, c = state
    f, g, o = (projection + h @ weight_hh.T).chunk(3, dim=-1)
    f = torch.sigmoid(f)
    c = f * c + (1 - f) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


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
    h, c = state
    i, f, g, o = (projection + gain_h * normalise(h @ weight_hh.T)).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(gain_c * normalise(c) + bias_c)
    return h, c


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
    (h,) = state
    x_r, x_z, x_n = projection.chunk(3, dim=-1)
    h_r, h_z, h_n = (h @ weight_hh.T).chunk(3, dim=-1)
    r = torch.sigmoid(x_r + h_r)
    z = torch.sigmoid(x_z + h_z)
    n = torch.tanh(x_n + r * (h_n + bias_hn))
    return ((1 - z) * n + z * h,)


def rnn(projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
    """Plain recurrent network with tanh (Elman 1990)."""
    (h,) = state
    return (torch.tanh(projection + h @ weight_hh.T),)


class Cell(NamedTuple):
    """A cell's step, its number of gates and state parts, and the index of its forget gate."""

    step: Callable[..., LayerState]
    gates: int
    state_parts: int
    forget: int | None = None


CELLS = {
    "lstm": Cell(lstm, gates=4, state_parts=2, forget=1),
    "capped_lstm": Cell(capped_lstm, gates=4, state_parts=2, forget=1),
    "cifg": Cell(cifg, gates=3, state_parts=2, forget=0),
    "layer_norm_lstm": Cell(layer_norm_lstm, gates=4, state_parts=2, forget=1),
    "gru": Cell(gru, gates=3, state_parts=1),
    "rnn": Cell(rnn, gates=1, state_parts=1),
}

FUSED = ("lstm", "gru", "rnn")
"""Cells of which torch has a fused layer over all steps of time."""
