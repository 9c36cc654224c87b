"""Devices that models are computed on, and the precision of the numbers there."""

import ctypes
import os
from contextlib import AbstractContextManager, nullcontext

import torch

from charlm.errors import ConfigError

__all__ = [
    "autocast",
    "choose_device",
    "choose_precision",
    "corpus_device",
    "keep_freed_memory",
    "name_of",
    "uses_graphs",
]

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of ``mallopt``, from glibc's malloc.h."""

GPU_SHARE = 8
"""A text is kept in a GPU's memory if it fills at most one part in so many of it."""


def compute_alone() -> None:
    """Let a forked process compute with one thread.

    The threads of OpenMP are not copied by a fork, and the copy would wait for them for ever.
    """
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=compute_alone)


def choose_device(name: str) -> torch.device:
    """The device called ``name``; ``auto`` is the first GPU if there is one, else the CPU.

    Raises ``ConfigError`` for a device that this machine lacks or that holds no numbers (meta).
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        hint = "use `device='auto'`, the first GPU or else the CPU"
        raise ConfigError(f"there is no device {name!r} here", hint) from None
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The type of numbers that ``training.precision`` stands for on ``device``.

    ``auto`` is bfloat16 on a GPU that computes in it and float32 everywhere else: on some CPUs
    matrix products in bfloat16 are a hundred times slower.  Raises ``ConfigError`` for float16 on
    a CPU, and for bfloat16 on a CPU for which torch has no recurrent layers in bfloat16.
    """
    on_cpu = device.type == "cpu"
    if name == "float16" and on_cpu:
        raise ConfigError(
            "`training.precision='float16'` needs a GPU",
            "use `training.precision='float32'` or `training.precision='bfloat16'`",
        )
    if name == "bfloat16" and on_cpu and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        raise ConfigError(
            "`training.precision='bfloat16'` is not supported by this processor",
            "use `training.precision='float32'`",
        )
    if name != "auto":
        precision: torch.dtype = getattr(torch, name)
        return precision
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    return torch.float32


def name_of(precision: torch.dtype) -> str:
    """The name of a precision in settings and files, such as ``float32``."""
    return str(precision).removeprefix("torch.")


def corpus_device(size: int, device: torch.device) -> torch.device:
    """Where to keep the tokens of a text, ``size`` in bytes, for training on ``device``.

    That is the GPU if they fill a small part of its memory, otherwise the CPU, where they are
    read from their file.
    """
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory
        if GPU_SHARE * size <= memory:
            return device
    return torch.device("cpu")


def uses_graphs(device: torch.device) -> bool:
    """Whether steps on ``device`` are captured in CUDA graphs: only if ``CHARLM_GRAPHS`` is 1.

    Capturing is off by default because it has not been run on a GPU yet.
    """
    return device.type == "cuda" and os.environ.get("CHARLM_GRAPHS") == "1"


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """A context in which forward passes compute in ``precision``; weights stay in float32."""
    if precision is torch.float32:
        return nullcontext()
    return torch.autocast(device.type, precision)


def keep_freed_memory() -> None:
    """Tell glibc, where it is in use, to keep freed memory instead of returning it to the system.

    Each training step frees and allocates the same tens of megabytes, of gradients and logits.
    The system would fill them with zeros page by page every time, which took an eighth of a step
    with words and a twentieth with characters.  The setting holds for the whole process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt:
        mallopt(M_TRIM_THRESHOLD, -1)  # never give back the end of the heap
        mallopt(M_MMAP_MAX, 0)  # large blocks come from the heap too
