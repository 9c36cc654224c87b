"""An LSTM layer over time as one node of autograd, on the compiled scans and products.

The node keeps the activated gates for the way back, where the gates' gradients take their place.
Letters: B lanes, T steps, I input size, H hidden size, V vocabulary.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlm.model.native.library import Kernels, pack, pack_gates

__all__ = ["fused_lstm", "learns"]


class Walk(NamedTuple):
    """What a walk over time leaves behind."""

    gates: Tensor  # (T*B, 4H), activated
    hidden: Tensor  # (T, B, H)
    cells: Tensor  # (T, B, H)


class FusedLstm(torch.autograd.Function):
    """(rows (N, I), tokens, h, c, weights) -> hidden states (T, B, H), last h, last c.

    ``tokens`` (T, B) says which row is the input of a step; ``None``: all T*B, one after another.
    """

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, rows: Tensor, tokens: Tensor | None, *others: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        h0, c0, weight_ih, weight_hh, bias = (other.contiguous() for other in others)
        walk = scan(kernels, rows, tokens, h0, c0, weight_ih, weight_hh, bias)
        ctx.kernels = kernels
        ctx.spent = False
        ctx.save_for_backward(rows, tokens, h0, c0, weight_ih, weight_hh, bias, *walk)
        ctx.set_materialize_grads(False)
        return walk.hidden, walk.hidden[-1].clone(), walk.cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_hidden: Tensor | None, grad_h: Tensor | None, grad_c: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        kernels: Kernels = ctx.kernels
        *given, gates, hidden, cells = ctx.saved_tensors
        rows, tokens, h0, c0, weight_ih, weight_hh, _ = given
        if ctx.spent:  # by an earlier way back through the same graph
            gates = scan(kernels, *given).gates
        ctx.spent = True
        # The scan works in place on these two.
        grad_h, grad_c = (zeros_for(grad, h0).clone() for grad in (grad_h, grad_c))
        outer = zeros_for(grad_hidden, hidden)
        scan_back(kernels, weight_hh, Walk(gates, hidden, cells), c0, outer, grad_h, grad_c)
        grad_rows = gates  # (N, 4H)
        if tokens is not None:
            grad_rows = torch.ops.aten.embedding_dense_backward(
                gates, tokens.flatten(), len(rows), -1, False
            )
        wanted = ctx.needs_input_grad
        grad_inputs = kernels.times(grad_rows, weight_ih) if wanted[1] else None
        grad_ih = outer_sum(kernels, grad_rows, rows) if wanted[5] else None
        grad_hh = recurrent_gradient(kernels, gates, h0, hidden) if wanted[6] else None
        grad_bias = grad_rows.sum(0) if wanted[7] else None
        kernels.give_back(gates)
        return None, grad_inputs, None, grad_h, grad_c, grad_ih, grad_hh, grad_bias


def scan(
    kernels: Kernels,
    rows: Tensor,
    tokens: Tensor | None,
    h0: Tensor,
    c0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
) -> Walk:
    """Forward over all steps."""
    lanes, size = h0.shape
    steps = len(rows) // lanes if tokens is None else len(tokens)
    gates = kernels.room(steps * lanes, 4 * size)
    if tokens is None:
        kernels.times(rows, weight_ih.T, bias, out=gates)
    else:
        table = kernels.times(rows, weight_ih.T, bias)  # (V, 4H)
        torch.index_select(table, 0, tokens.flatten(), out=gates)
    hidden, cells = (h0.new_empty(steps, lanes, size) for _ in range(2))
    kernels.scan_forward(
        kernels.layer(
            (steps, lanes, size),
            weights=pack_gates(weight_hh, kernels.width),
            gates=gates,
            h0=h0,
            c0=c0,
            hiddens=hidden,
            cells=cells,
        )
    )
    return Walk(gates, hidden, cells)


def scan_back(
    kernels: Kernels,
    weight_hh: Tensor,
    walk: Walk,
    c0: Tensor,
    outer: Tensor,
    grad_h: Tensor,
    grad_c: Tensor,
) -> None:
    """Backward over all steps: the gates become their gradients, ``grad_h`` and ``grad_c`` the
    first state's."""
    if outer.stride(2) != 1:
        outer = outer.contiguous()
    kernels.scan_backward(
        kernels.layer(
            walk.hidden.shape,
            step_stride=outer.stride(0),
            lane_stride=outer.stride(1),
            weights=pack(weight_hh, kernels.width),
            gates=walk.gates,
            c0=c0,
            cells=walk.cells,
            grad_hiddens=outer,
            grad_gates=walk.gates,
            grad_h=grad_h,
            grad_c=grad_c,
        )
    )


def zeros_for(gradient: Tensor | None, like: Tensor) -> Tensor:
    """The gradient, or zeros where nothing flowed back."""
    return torch.zeros_like(like) if gradient is None else gradient


def outer_sum(kernels: Kernels, grad_gates: Tensor, rows: Tensor) -> Tensor:
    """The sum over rows of (gate gradients) x (what the weights multiplied)."""
    return kernels.add_outer(grad_gates, rows, rows.new_zeros(grad_gates.shape[1], rows.shape[1]))


def recurrent_gradient(kernels: Kernels, grad_gates: Tensor, h0: Tensor, hidden: Tensor) -> Tensor:
    """The same with h before each step: the given one, then those of all steps but the last."""
    lanes = len(h0)
    first = outer_sum(kernels, grad_gates[:lanes], h0)
    if len(hidden) == 1:
        return first
    return kernels.add_outer(grad_gates[lanes:], hidden[:-1].flatten(0, 1), first)


def fused_lstm(
    kernels: Kernels,
    inputs: Tensor,
    state: tuple[Tensor, ...],
    weights: tuple[Tensor, ...],
    tokens: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """inputs (T, B, I), (h, c), (weight_ih, weight_hh, bias) -> hidden states (T, B, H), (h, c).

    With ``tokens`` (T, B), inputs are an embedding's rows (V, I), multiplied once for all steps.
    """
    rows = inputs.reshape(-1, inputs.shape[-1])
    if learns(rows, *state, *weights):
        hidden, h, c = FusedLstm.apply(kernels, rows, tokens, *state, *weights)  # type: ignore[no-untyped-call]
        return hidden, (h, c)
    given = [part.detach().contiguous() for part in (*state, *weights)]
    walk = scan(kernels, rows.detach(), tokens, *given)
    kernels.give_back(walk.gates)
    return walk.hidden, (walk.hidden[-1].clone(), walk.cells[-1].clone())


def learns(*tensors: Tensor) -> bool:
    """Whether gradients will be asked for."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
