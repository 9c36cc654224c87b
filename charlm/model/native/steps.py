"""A weight that is multiplied in each step of time, for cells that no scan computes.

Letters: T steps, B lanes, K depth and M rows of the weight.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlm.model.native.library import Kernels, pack

__all__ = ["StepWeight"]


class StepWeight:
    """Takes the place of a weight (M, K) in ``x @ weight.T`` with x (B, K), once in each step.

    The weight is packed once and its gradient is one product over all steps.  Torch would pack it
    at each step and sum as many gradients of its size as there are steps.
    """

    def __init__(self, kernels: Kernels, shape: tuple[int, int], weight: Tensor) -> None:
        """Prepare a weight for a segment of the ``shape`` (T, B)."""
        self.record = StepRecord(kernels, weight.detach())
        anchors: Tensor = Gathering.apply(weight, self.record, shape)  # type: ignore[no-untyped-call]
        self.anchors = iter(anchors.unbind())

    @property
    def T(self) -> "StepWeight":
        """Itself: the product with the transposed weight is the only one that is offered."""
        return self

    def __rmatmul__(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32:  # of which the kernel would read other numbers
            raise TypeError(f"a layer in float32 got a state in {x.dtype}")
        product: Tensor = Step.apply(x, next(self.anchors), self.record)  # type: ignore[no-untyped-call]
        return product


class StepRecord:
    """What the steps of a segment share: the weight, packed both ways, and the inputs so far."""

    def __init__(self, kernels: Kernels, weight: Tensor) -> None:
        self.kernels = kernels
        self.rows, self.depth = weight.shape
        self.forth = pack(weight.T, kernels.width)
        self.back = pack(weight, kernels.width)
        self.inputs: list[Tensor] = []


class Gathering(torch.autograd.Function):
    """(weight, record, (T, B)) -> zeros (T, B, M), to be added to the products of the steps.

    The gradient of these zeros is the gradient of all products, so that backwards the weight's
    gradient is computed here from all steps together.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, record: StepRecord, shape: tuple[int, int]) -> Tensor:
        ctx.record = record
        return weight.new_zeros(()).expand(*shape, record.rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        record: StepRecord = ctx.record
        inputs = torch.stack(record.inputs).flatten(0, 1)
        total = grad.new_zeros(record.rows, record.depth)
        return record.kernels.add_outer(grad.flatten(0, 1), inputs, total), None, None


class Step(torch.autograd.Function):
    """(x, zeros, record) -> x @ weight.T + zeros, computed without adding the zeros."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, _: Tensor, record: StepRecord) -> Tensor:
        ctx.record = record
        record.inputs.append(x.detach())
        return record.kernels.times_packed(x, record.forth, record.rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        record: StepRecord = ctx.record
        wanted = ctx.needs_input_grad[0]
        grad_x = record.kernels.times_packed(grad, record.back, record.depth) if wanted else None
        return grad_x, grad, None
