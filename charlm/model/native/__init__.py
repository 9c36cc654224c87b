"""The native path of the LSTM layer: compiled scans over time where they are present and pay.

Where they are not, for whatever reason, torch's own layer goes on with the same results.
``CHARLM_NATIVE=0`` switches the path off; ``portable``, ``avx2`` or ``avx512`` names a variant.
"""

import os
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from charlm.model.cells import lstm
from charlm.model.native.fused import fused_lstm
from charlm.model.native.library import Kernels, Unavailable, load

__all__ = ["Kernels", "fused_lstm", "kernels", "status"]

LABELS = {"portable": "portable", "avx2": "AVX2", "avx512": "AVX-512"}


def kernels() -> Kernels | None:
    """The scans in use, or ``None``."""
    found = attempt()
    return found if isinstance(found, Kernels) else None


def status() -> str:
    """Which implementation of the LSTM is in use for training on the CPU, and if torch's, why."""
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
    return found if proved(found) else "the native library's results are wrong on this machine"


def proved(found: Kernels) -> bool:
    """Whether a small layer and its gradients equal the textbook's cell."""
    # Odd sizes: full and partial vectors, and every count of lanes in a block.
    generator = torch.Generator().manual_seed(1)
    shapes = [(3, 7, 5), (7, 19), (7, 19), (76, 5), (76, 19), (76,)]
    numbers = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    inputs, h, c, weight_ih, weight_hh, bias = numbers
    with torch.enable_grad():
        hidden, state = fused_lstm(found, inputs, (h, c), (weight_ih, weight_hh, bias))
        expected: tuple[Tensor, ...] = (h, c)
        outputs = []
        for projection in torch.nn.functional.linear(inputs, weight_ih, bias):
            expected = lstm(projection, expected, weight_hh)
            outputs.append(expected[0])
        pairs = [(hidden, torch.stack(outputs)), (state[0], expected[0]), (state[1], expected[1])]
        losses = [sum(side.sin().sum() for side in sides) for sides in zip(*pairs, strict=True)]
        pairs += zip(*(torch.autograd.grad(loss, numbers) for loss in losses), strict=True)
    return all(torch.allclose(one, other, rtol=1e-4, atol=1e-4) for one, other in pairs)
