"""The native path: compiled LSTM layers over time and stacks of them where present and paying.

Where they are not, for whatever reason, torch's own layer goes on with the same results.
``CHARLM_NATIVE=0`` switches the path off; ``portable``, ``avx2`` or ``avx512`` names a variant.
"""

import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from charlm.model.cells import lstm
from charlm.model.native.fused import fused_lstm, learns
from charlm.model.native.library import Kernels, Rule, Unavailable, load
from charlm.model.native.stack import NativeStack, Weights
from charlm.model.native.steps import StepWeight

__all__ = ["Kernels", "StepWeight", "fused_lstm", "kernels", "learns", "status", "suits"]

LABELS = {"portable": "portable", "avx2": "AVX2", "avx512": "AVX-512"}


def kernels() -> Kernels | None:
    """The scans in use, or ``None``."""
    found = attempt()
    return found if isinstance(found, Kernels) else None


def suits(*tensors: Tensor) -> bool:
    """Whether the native path computes with these: numbers of 32 bits, on the processor."""
    if torch.is_autocast_enabled("cpu"):
        return False
    return all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)


def status() -> str:
    """Which implementation of the LSTM is in use on the CPU, and if torch's, why."""
    found = attempt()
    return f"native, {LABELS[found.variant]}" if isinstance(found, Kernels) else f"torch: {found}"


@cache
def attempt() -> Kernels | str:
    """The scans, loaded and proved once a process; or why there are none."""
    wish = os.environ.get("CHARLM_NATIVE", "")
    if wish == "0":
        return "CHARLM_NATIVE=0"
    try:
        found = load(Path(__file__).parent, forced=wish)
    except Unavailable as reason:
        return str(reason)
    with torch.inference_mode(False), torch.enable_grad():
        fine = scans_proved(found) and decoding_proved(found)
    return found if fine else "the native library's results are wrong on this machine"


def scans_proved(found: Kernels) -> bool:
    """Whether a small layer and its gradients equal the textbook's cell."""
    # Odd sizes: full and partial vectors, and every count of lanes in a block.
    inputs, h, c, *weights = numbers((3, 7, 5), (7, 19), (7, 19), (76, 5), (76, 19), (76,))
    hidden, state = fused_lstm(found, inputs, (h, c), (weights[0], weights[1], weights[2]))
    expected: tuple[Tensor, ...] = (h, c)
    outputs = []
    for step in inputs:
        expected = textbook(step, expected, weights)
        outputs.append(expected[0])
    pairs = [(hidden, torch.stack(outputs)), (state[0], expected[0]), (state[1], expected[1])]
    losses = [sum(side.sin().sum() for side in sides) for sides in zip(*pairs, strict=True)]
    given = [inputs, h, c, *weights]
    pairs += zip(*(torch.autograd.grad(loss, given) for loss in losses), strict=True)
    return all(torch.allclose(one, other, rtol=1e-4, atol=1e-4) for one, other in pairs)


def decoding_proved(found: Kernels) -> bool:
    """Whether a small stack reads tokens as the textbook's cells do, and writes the likeliest."""
    shapes = (9, 5), (76, 5), (76, 19), (76,), (76, 19), (76, 19), (76,), (9, 19), (9,)
    with torch.no_grad():
        embedding, *layers, head, bias = (each.detach() for each in numbers(*shapes))
        weights = Weights(embedding, (tuple(layers[:3]), tuple(layers[3:])), head, bias)
        stack = NativeStack(found, weights, lanes=7)
        below: tuple[Tensor, ...] = (torch.zeros(7, 19),) * 2
        above = below
        for tokens in (torch.arange(7), torch.arange(2, 9)):
            logits = stack.read(tokens[:, None])
            below = textbook(embedding[tokens], below, layers[:3])
            above = textbook(below[0], above, layers[3:])
        expected = torch.nn.functional.linear(above[0], head, bias)
        fine = torch.allclose(logits, expected, rtol=1e-4, atol=1e-4)
        written = stack.write(torch.zeros(7, 1), torch.zeros(9), Rule(0.0, 0, 1.0, -math.inf))
        return fine and torch.equal(written[:, 0], expected.argmax(dim=1))


def numbers(*shapes: tuple[int, ...]) -> list[Tensor]:
    """The same tensors each time."""
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def textbook(
    inputs: Tensor, state: tuple[Tensor, ...], weights: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """A step of the reference cell."""
    return lstm(torch.nn.functional.linear(inputs, weights[0], weights[2]), state, weights[1])
