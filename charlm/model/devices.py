"""Which device and which precision the numbers live in."""

import ctypes
import os
from contextlib import AbstractContextManager, nullcontext

import torch

from charlm.errors import ConfigError

__all__ = [
    "autocast",
    "choose_device",
    "corpus_device",
    "keep_freed_memory",
    "name_of",
    "precisions",
    "uses_graphs",
]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""


def choose_device(name: str) -> torch.device:
    """``auto``: the first GPU, else the CPU.  Raises ``ConfigError`` for what is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        hint = "use `device='auto'`, the first GPU or else the CPU"
        raise ConfigError(f"there is no device {name!r} here", hint) from None
    return device


def precisions(name: str, device: torch.device) -> tuple[torch.dtype, ...]:
    """What ``training.precision`` allows to compute in on ``device``, the safest first.

    ``auto`` leaves a choice on GPUs only: of bfloat16 (float32 where they lack it) and float16,
    for which alone cuDNN has persistent kernels.  CPUs stay at float32: on some of them products
    of 16 bits are a hundred times slower.  Raises ``ConfigError`` for float16 on a CPU and for
    bfloat16 on many of them, where torch has no such layers.
    """
    if name == "float16" and device.type == "cpu":
        raise ConfigError("training.precision = float16 needs a GPU", "use float32 or bfloat16")
    if (
        name == "bfloat16"
        and device.type == "cpu"
        and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    ):
        raise ConfigError(
            "training.precision = bfloat16 is more than this processor can do", "use float32"
        )
    if name != "auto":
        return (getattr(torch, name),)
    if device.type != "cuda":
        return (torch.float32,)
    wide = torch.cuda.is_bf16_supported(including_emulation=False)
    return (torch.bfloat16 if wide else torch.float32, torch.float16)


def name_of(precision: torch.dtype) -> str:
    """What settings and files call it."""
    return str(precision).removeprefix("torch.")


def corpus_device(size: int, device: torch.device) -> torch.device:
    """Where the tokens of a text lie, ``size`` bytes of them, while a model learns on ``device``.

    On a GPU that they fill by no more than an eighth; elsewhere in their file.
    """
    if device.type == "cuda" and 8 * size <= torch.cuda.get_device_properties(device).total_memory:
        return device
    return torch.device("cpu")


def uses_graphs(device: torch.device) -> bool:
    """Whether work on ``device`` is captured in CUDA graphs; ``CHARLM_GRAPHS=0``: nowhere."""
    return device.type == "cuda" and os.environ.get("CHARLM_GRAPHS") != "0"


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """The context in which the forward pass is computed; weights stay in float32."""
    if precision is torch.float32:
        return nullcontext()
    return torch.autocast(device.type, precision)


def keep_freed_memory() -> None:
    """Let glibc, where it is there, keep what is freed instead of giving it back to the system.

    Each step of training frees and wants the same tens of megabytes again: gradients, logits.  The
    system would fill them with zeros page by page every time, which took an eighth of a step with
    words and a twentieth with characters.  Concerns the whole process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, -1)  # the end of the heap stays
        mallopt(M_MMAP_MAX, 0)  # what is large comes from the heap too
