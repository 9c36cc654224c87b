"""An LSTM layer over all steps of time as one autograd function, on the compiled kernels.

The activated gates are kept for the backward pass, which overwrites them with their gradients.
Letters: B lanes, T steps, I input size, H hidden size, V vocabulary, N rows of the input.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlm.model.native.library import Kernels, pack, pack_gates

__all__ = ["fused_lstm", "learns"]


class Scan(NamedTuple):
    """What a scan over all steps computes."""

    gates: Tensor  # (T*B, 4H), activated
    hidden: Tensor  # (T, B, H)
    cells: Tensor  # (T, B, H)


class FusedLstm(torch.autograd.Function):
    """(rows (N, I), tokens, h, c, weights) -> hidden states (T, B, H), last h, last c.

    ``tokens`` (T, B) are the indices of the rows that the steps take as input; with ``None`` there
    are T*B rows, taken one after the other.
    """

    @staticmethod
    def forward(
        ctx: Any, kernels: Kernels, rows: Tensor, tokens: Tensor | None, *others: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        h0, c0, weight_ih, weight_hh, bias = (other.contiguous() for other in others)
        done = scan(kernels, rows, tokens, h0, c0, weight_ih, weight_hh, bias)
        ctx.kernels = kernels
        ctx.spent = False
        ctx.save_for_backward(rows, tokens, h0, c0, weight_ih, weight_hh, bias, *done)
        return done.hidden, done.hidden[-1].clone(), done.cells[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_hidden: Tensor, grad_h: Tensor, grad_c: Tensor
    ) -> tuple[Tensor | None, ...]:
        kernels: Kernels = ctx.kernels
        *given, gates, hidden, cells = ctx.saved_tensors
        rows, tokens, h0, c0, weight_ih, weight_hh, _ = given
        if ctx.spent:  # an earlier backward pass has overwritten the gates: compute them again
            gates = scan(kernels, *given).gates
        ctx.spent = True
        # The scan overwrites these two, and takes their rows to lie one behind the other.
        grad_h, grad_c = (
            grad.clone(memory_format=torch.contiguous_format) for grad in (grad_h, grad_c)
        )
        scan_back(kernels, weight_hh, Scan(gates, hidden, cells), c0, grad_hidden, grad_h, grad_c)
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
) -> Scan:
    """Advance over all steps; ``FusedLstm`` explains the arguments."""
    lanes, size = h0.shape
    steps = len(rows) // lanes if tokens is None else len(tokens)
    gates = kernels.acquire(steps * lanes, 4 * size)
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
    return Scan(gates, hidden, cells)


def scan_back(
    kernels: Kernels,
    weight_hh: Tensor,
    done: Scan,
    c0: Tensor,
    outer: Tensor,
    grad_h: Tensor,
    grad_c: Tensor,
) -> None:
    """Go back over all steps from the gradients ``outer`` (T, B, H) of the hidden states.

    Overwrites the gates by the gradients of their sums, and ``grad_h`` and ``grad_c`` (B, H), the
    gradients of the last state, by those of the first.
    """
    if outer.stride(2) != 1:
        outer = outer.contiguous()
    kernels.scan_backward(
        kernels.layer(
            done.hidden.shape,
            step_stride=outer.stride(0),
            lane_stride=outer.stride(1),
            weights=pack(weight_hh, kernels.width),
            gates=done.gates,
            c0=c0,
            cells=done.cells,
            grad_hiddens=outer,
            grad_gates=done.gates,
            grad_h=grad_h,
            grad_c=grad_c,
        )
    )


def outer_sum(kernels: Kernels, grad_gates: Tensor, rows: Tensor) -> Tensor:
    """Gradient of a weight: outer products of gate gradients (N, 4H) and rows (N, I), summed."""
    return kernels.add_outer(grad_gates, rows, rows.new_zeros(grad_gates.shape[1], rows.shape[1]))


def recurrent_gradient(kernels: Kernels, grad_gates: Tensor, h0: Tensor, hidden: Tensor) -> Tensor:
    """Gradient of ``weight_hh``: outer products of gate gradients and the h before each step."""
    lanes = len(h0)
    # Before the first step stands h0, before every other the hidden state of the step before.
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
    """An LSTM layer: inputs (T, B, I) and state (h, c) -> hidden states (T, B, H), last (h, c).

    ``weights`` are weight_ih (4H, I), weight_hh (4H, H) and bias (4H).  With ``tokens`` (T, B) the
    inputs are the rows of an embedding (V, I), which are multiplied once for all steps.
    """
    rows = inputs.reshape(-1, inputs.shape[-1])
    if learns(rows, *state, *weights):
        hidden, h, c = FusedLstm.apply(kernels, rows, tokens, *state, *weights)  # type: ignore[no-untyped-call]
        return hidden, (h, c)
    given = [part.detach().contiguous() for part in (*state, *weights)]
    done = scan(kernels, rows.detach(), tokens, *given)
    kernels.give_back(done.gates)
    return done.hidden, (done.hidden[-1].clone(), done.cells[-1].clone())


def learns(*tensors: Tensor) -> bool:
    """Whether gradients of these tensors may be computed later."""
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
