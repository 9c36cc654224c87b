"""Tensors as a file of the safetensors format, written block by block.

The library that reads these files also writes them, but makes two copies of all tensors for that.
"""

import json
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

__all__ = ["blocks_of", "size_of"]

TYPES = {
    torch.int64: "I64",
    torch.float64: "F64",
    torch.float32: "F32",
    torch.uint32: "U32",
    torch.int32: "I32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.uint16: "U16",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""The types that can be written, with their names, in the order in which they are written."""

ALIGNMENT = 8
"""Bytes of which the header has a multiple, so that numbers lie as a processor likes it."""


def blocks_of(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """The content of a file with these tensors by their names: its header, then each tensor.

    Only one tensor at a time is copied, and only where it is not contiguous or not on the CPU.
    """
    order = list(TYPES)
    names = sorted(tensors, key=lambda name: (order.index(tensors[name].dtype), name))
    entries, end = {}, 0
    for name in names:
        begin, end = end, end + tensors[name].nbytes
        shape = list(tensors[name].shape)
        kind = TYPES[tensors[name].dtype]
        entries[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    header = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    yield len(header).to_bytes(8, "little") + header
    for name in names:
        flat = tensors[name].detach().cpu().contiguous().reshape(-1)
        yield flat.view(torch.uint8).numpy().data


def size_of(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of all tensors together."""
    return sum(tensor.nbytes for tensor in tensors.values())
