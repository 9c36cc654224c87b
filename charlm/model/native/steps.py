"""A weight that meets one step after another, for cells that no scan computes.

Letters: T steps, B lanes, K depth and M rows of the weight.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from charlm.model.native.library import Kernels, pack

__all__ = ["StepWeight"]


class StepWeight:
    """Stands for a weight (M, K) in ``x @ weight.T`` with x (B, K), in each step of one walk.

    It is packed once, and its gradient is one product over all steps: torch would pack it at each
    step, and sum as many gradients of its size as there are steps.
    """

    def __init__(self, kernels: Kernels, shape: tuple[int, int], weight: Tensor) -> None:
        """For a walk of the ``shape`` (T, B)."""
        self.steps = Steps(kernels, weight.detach())
        anchors: Tensor = Gathering.apply(weight, self.steps, shape)  # type: ignore[no-untyped-call]
        self.anchors = iter(anchors.unbind())

    @property
    def T(self) -> "StepWeight":
        """Itself: nothing but the product with the transposed weight is there."""
        return self

    def __rmatmul__(self, x: Tensor) -> Tensor:
        product: Tensor = Step.apply(x, next(self.anchors), self.steps)  # type: ignore[no-untyped-call]
        return product


class Steps:
    """What the steps of a walk share: the weight, packed both ways, and the inputs that it met."""

    def __init__(self, kernels: Kernels, weight: Tensor) -> None:
        self.kernels = kernels
        self.rows, self.depth = weight.shape
        self.forth = pack(weight.T, kernels.width)
        self.back = pack(weight, kernels.width)
        self.inputs: list[Tensor] = []


class Gathering(torch.autograd.Function):
    """(weight, steps, (T, B)) -> zeros (T, B, M), one for each product: their gradients are the
    products', and come back here together."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, steps: Steps, shape: tuple[int, int]) -> Tensor:
        ctx.steps = steps
        return weight.new_zeros(()).expand(*shape, steps.rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        steps: Steps = ctx.steps
        inputs = torch.stack(steps.inputs).flatten(0, 1)
        total = grad.new_zeros(steps.rows, steps.depth)
        return steps.kernels.add_outer(grad.flatten(0, 1), inputs, total), None, None


class Step(torch.autograd.Function):
    """(x, zeros, steps) -> x @ weight.T, to which the zeros need not really be added."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, _: Tensor, steps: Steps) -> Tensor:
        ctx.steps = steps
        steps.inputs.append(x.detach())
        return steps.kernels.times_packed(x, steps.forth, steps.rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, None]:
        steps: Steps = ctx.steps
        wanted = ctx.needs_input_grad[0]
        grad_x = steps.kernels.times_packed(grad, steps.back, steps.depth) if wanted else None
        return grad_x, grad, None
