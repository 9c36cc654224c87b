"""Which device and which precision the numbers live in."""

import os
from contextlib import AbstractContextManager, nullcontext

import torch

from charlm.errors import ConfigError

__all__ = ["autocast", "choose_device", "choose_precision", "corpus_device", "uses_graphs"]


def choose_device(name: str) -> torch.device:
    """``auto``: the first GPU, else the CPU.  Raises ``ConfigError`` for what is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ConfigError(f"there is no device {name!r} here", "use --device auto") from None
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """``auto``: bfloat16 on GPUs that compute in it, float32 elsewhere.

    CPUs stay at float32: on some of them bfloat16 products are a hundred times slower.
    """
    if name == "auto":
        gains = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if gains else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


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
