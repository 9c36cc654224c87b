"""The rule by which ``--adapt`` learns: dynamic evaluation whose steps decoding can repeat.

Every weight's gradient is divided by the root of its mean square so far, which needs no training
text.  The last bits of a gradient differ between machines, and learning would make more of such a
difference with every step.  So gradients are rounded to a few bits, and what is done with them is
exact in the sense of IEEE 754: weights stay equal, bit for bit, unless a gradient happens to lie
within the last bits of where rounding changes.  The coder does the same to logits.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["MeanSquares", "RoundedSteps", "round_off"]

GRADIENT = 16
"""Bits that are kept of gradients, counted from the largest of each matrix."""

TINY = 1e-8
"""Added to the root of the mean square, so that weights without a gradient stay as they are."""


class MeanSquares(NamedTuple):
    """The mean square of each gradient over the ``steps`` taken so far."""

    squares: tuple[Tensor, ...]
    steps: int


@dataclass(frozen=True)
class RoundedSteps:
    """Steps of dynamic evaluation after each ``segment`` tokens; ``rate`` is in millionths."""

    segment: int
    rate: int

    def start(self, weights: Sequence[Tensor]) -> MeanSquares:
        """Zeros."""
        return MeanSquares(tuple(torch.zeros_like(weight) for weight in weights), 0)

    def take(
        self,
        weights: Sequence[Tensor],
        trained: Sequence[Tensor],
        gradients: Sequence[Tensor],
        before: MeanSquares,
    ) -> tuple[list[Tensor], MeanSquares]:
        """The weights after a step down their gradients, and the new mean squares."""
        steps = before.steps + 1
        stepped, squares = [], []
        for weight, gradient, square in zip(weights, gradients, before.squares, strict=True):
            coarse = round_off(gradient)
            # No fused operations from here on: some machines have them, and round less.
            square = (square * (1 - 1 / steps)).add_((coarse * coarse).mul_(1 / steps))
            coarse.mul_(1e-6 * self.rate).div_(square.sqrt().add_(TINY))
            stepped.append(weight - coarse)
            squares.append(square)
        return stepped, MeanSquares(tuple(squares), steps)


def round_off(gradient: Tensor) -> Tensor:
    """Whole multiples of a power of two that is 2**-GRADIENT of the largest or a little more."""
    _, exponent = math.frexp(float(gradient.abs().max()))
    return (gradient * 2.0 ** (GRADIENT - exponent)).round_().mul_(2.0 ** (exponent - GRADIENT))
