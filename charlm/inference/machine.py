"""What this machine offers to charlm: versions, device, and the implementation in use."""

import platform
from importlib.metadata import version
from typing import Any

import torch

from charlm import __version__
from charlm.data.cache import cache_folder
from charlm.model import native
from charlm.model.devices import choose_device, choose_precision, name_of

__all__ = ["describe_machine"]

PACKAGES = ("torch", "sentencepiece", "datasets", "numpy", "safetensors")


def describe_machine() -> dict[str, Any]:
    """Facts by name, as ``charlm doctor --json`` prints them; nothing is timed."""
    device = choose_device("auto")
    decoding = native.status(native.decoding_agrees)
    compiled = device.type == "cpu" and decoding.startswith("native")
    return {
        "charlm": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else str(device),
        "precision": name_of(choose_precision("auto", device)),
        "recurrence": "cuDNN" if device.type == "cuda" else native.status(),
        "decoding": decoding if compiled else "torch, input table",
        "cache": str(cache_folder()),
    }
