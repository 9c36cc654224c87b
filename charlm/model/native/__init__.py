"""The native path: compiled LSTM layers, and decoding of stacks of them.

Where the compiled library is missing or fails a test, torch's own layers compute the same numbers.
A process tests only what it uses: the forward scans, their gradients, or decoding.  The environment
variable ``CHARLM_NATIVE`` switches the path off (``0``) or names the variant to use (``portable``,
``avx2``, ``avx512``).
"""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.model.native.fused import fused_lstm, learns
from charlm.model.native.library import Kernels, Unavailable, load
from charlm.model.native.sampling import rule_of
from charlm.model.native.stack import NativeStack, StackWeights
from charlm.model.native.steps import StepWeight

__all__ = [
    "Kernels",
    "StepWeight",
    "decoding_agrees",
    "fused_lstm",
    "gradients_agree",
    "kernels",
    "learns",
    "recording",
    "scans_agree",
    "status",
    "suits",
]

PLAIN = (Tensor, torch.nn.Parameter)
"""Types of tensors that own memory; subclasses such as ``FakeTensor`` need not."""

LABELS = {"portable": "portable", "avx2": "AVX2", "avx512": "AVX-512"}


def suits(*tensors: Tensor) -> bool:
    """Whether the native path can compute with these tensors: float32, on the CPU.

    Not under autocast, nor while torch records operations, when tensors may have no memory.
    """
    if torch.is_autocast_enabled("cpu") or recording():
        return False
    return all(
        type(t) in PLAIN and t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors
    )


def recording() -> bool:
    """Whether ``torch.jit.trace``, ``torch.export`` or ``torch.compile`` is recording operations.

    A compiled kernel is no operation of torch: it would be left out of what is recorded.
    """
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    return tracing or torch.compiler.is_compiling()


@cache
def attempt(test: Callable[[Kernels], bool]) -> Kernels | str:
    """The kernels after a test, which is run once a process; or the reason why there are none."""
    wish = os.environ.get("CHARLM_NATIVE", "")
    if wish == "0":
        return "CHARLM_NATIVE=0"
    try:
        found = load(Path(__file__).parent, forced=wish)
    except Unavailable as reason:
        return str(reason)
    with torch.inference_mode(False), torch.enable_grad():
        return found if test(found) else "the native library's results are wrong on this machine"


def scans_agree(found: Kernels) -> bool:
    """Whether the forward scan computes a small layer as torch's own cell does."""
    with torch.no_grad():
        return gradients_agree(found)


def gradients_agree(found: Kernels) -> bool:
    """Whether the scans compute a small layer as torch's own cell does, and its gradients too
    unless gradients are off.
    """
    # Odd sizes: full and partial vectors, and every count of lanes in a block.
    given = numbers((3, 7, 5), (7, 19), (7, 19), (76, 5), (76, 19), (76,))
    inputs, h, c, *weights = given
    hidden, last = fused_lstm(found, inputs, (h, c), tuple(weights))
    state, outputs = (h, c), []
    for step in inputs:
        state = torch.lstm_cell(step, state, *weights)
        outputs.append(state[0])
    own, expected = [hidden, *last], [torch.stack(outputs), *state]
    if torch.is_grad_enabled():
        for side in (own, expected):
            loss = torch.stack([part.sin().sum() for part in side]).sum()
            side += torch.autograd.grad(loss, given)
    return all(map(close, own, expected))


def decoding_agrees(found: Kernels) -> bool:
    """Whether a small stack gives the logits of torch's own cells and samples the likeliest tokens
    at temperature 0.
    """
    shapes = (9, 5), (76, 5), (76, 19), (76,), (76, 19), (76, 19), (76,), (9, 19), (9,)
    with torch.no_grad():
        embedding, *layers, head, bias = numbers(*shapes)
        weights = StackWeights(embedding, (tuple(layers[:3]), tuple(layers[3:])), head, bias)
        stack = NativeStack(found, weights, lanes=7)
        below = above = (torch.zeros(7, 19), torch.zeros(7, 19))
        for tokens in (torch.arange(7), torch.arange(2, 9)):
            logits = stack.read(tokens[:, None])
            below = torch.lstm_cell(embedding[tokens], below, *layers[:3])
            above = torch.lstm_cell(below[0], above, *layers[3:])
        expected = torch.nn.functional.linear(above[0], head, bias)
        fine = close(logits, expected)
        likeliest = rule_of(GenerationConfig(temperature=0), 9)
        written, _ = stack.write(torch.zeros(7, 1), torch.zeros(9), likeliest)
        return fine and torch.equal(written[:, 0], expected.argmax(dim=1))


def numbers(*shapes: tuple[int, ...]) -> list[Tensor]:
    """Normally distributed tensors of these shapes, equal in every call."""
    generator = torch.Generator().manual_seed(1)
    learns = torch.is_grad_enabled()
    return [torch.randn(shape, generator=generator, requires_grad=learns) for shape in shapes]


def close(own: Tensor, expected: Tensor) -> bool:
    """Whether tensors are equal up to rounding."""
    return torch.allclose(own, expected, rtol=1e-4, atol=1e-4)


def kernels(test: Callable[[Kernels], bool] = gradients_agree) -> Kernels | None:
    """The compiled kernels if they pass the ``test`` of what they are wanted for, else ``None``."""
    found = attempt(test)
    return found if isinstance(found, Kernels) else None


def status(test: Callable[[Kernels], bool] = gradients_agree) -> str:
    """Which implementation is in use on the CPU for what is tested, and if it is torch's, why."""
    found = attempt(test)
    return f"native, {LABELS[found.variant]}" if isinstance(found, Kernels) else f"torch: {found}"
