"""The textbook equations, one step of time each.  The reference for every faster implementation.

With x_t the input, h the hidden state, c the cell state and sigma the logistic function, each cell
takes the input's share W_x x_t + b of its gates, already computed (``projection``), the ``state``
after step t - 1 and the recurrent weights W_h, and returns the state after step t.  The first part
of a state is h, which is also the cell's output.

Shapes: projection (B, G*H), each part of the state (B, H), weight_hh (G*H, H), with G gates.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["CELLS", "Cell", "LayerState", "gru", "lstm", "rnn"]

LayerState = tuple[Tensor, ...]
"""(h, c) for the LSTM, (h,) for the others; each (B, H)."""


def lstm(projection: Tensor, state: LayerState, weight_hh: Tensor) -> LayerState:
    """Long short-term memory with forget gate; gates in the order i, f, g, o.

    Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000.
    """
    h, c = state
    i, f, g, o = (projection + h @ weight_hh.T).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return h, c


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
    """What the layers need to know of a cell."""

    step: Callable[..., LayerState]
    gates: int
    state_parts: int


CELLS = {
    "lstm": Cell(lstm, gates=4, state_parts=2),
    "gru": Cell(gru, gates=3, state_parts=1),
    "rnn": Cell(rnn, gates=1, state_parts=1),
}
