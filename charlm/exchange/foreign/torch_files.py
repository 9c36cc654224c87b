"""Files that ``torch.save`` and safetensors wrote, read without torch.load.

``torch.save`` writes a zip archive with a pickle and one member for each storage; before torch 1.6
it wrote five pickles and the storages one after the other.
"""

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from charlm.errors import ModelError
from charlm.exchange.foreign.pickles import Record, read_pickle

__all__ = ["Module", "read_torch_file"]

LARGEST_FILE = 1 << 33
LARGEST_PICKLE = 1 << 26
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C

TYPES = {
    "Float": torch.float32, "Double": torch.float64, "Half": torch.float16,
    "BFloat16": torch.bfloat16, "Long": torch.int64, "Int": torch.int32, "Short": torch.int16,
    "Char": torch.int8, "Byte": torch.uint8, "Bool": torch.bool,
}  # fmt: skip
"""Storage classes of torch and the type of their numbers."""

MALFORMED = (
    zipfile.BadZipFile, safetensors.SafetensorError, NotImplementedError, RuntimeError, EOFError,
    ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, MemoryError,
)  # fmt: skip
"""What reading a damaged file may raise."""

DEEPEST = 16
"""Modules within modules that are searched for parameters."""


@dataclass(frozen=True)
class Module:
    """The parameters of a module or state dict by name, and what its classes tell.

    ``classes`` maps a module's path ("" for the root) to the name of its class, ``attributes`` to
    its plain attributes, like ``mode`` and ``nlayers``; both are empty for a state dict.
    """

    tensors: dict[str, Tensor]
    classes: dict[str, str]
    attributes: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Storage:
    """A stretch of numbers that tensors are views of."""

    kind: str
    key: str


def read_torch_file(path: Path) -> Module:
    """Read a ``.safetensors`` file, or a module or state dict that ``torch.save`` wrote.

    Raises ``ModelError`` for anything else, and for pickles that name what is not allowed.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ModelError(
                f"{path} is larger than {LARGEST_FILE:,} bytes", "import a smaller one"
            )
        if path.suffix == ".safetensors":
            return Module(safetensors.torch.load_file(path), {}, {})
        with path.open("rb") as file:
            found, storages = (read_zip if zipfile.is_zipfile(file) else read_legacy)(path)
        return module_of(found, storages)
    except ModelError as error:
        raise ModelError(f"{path}: {error}", error.hint) from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", "name a file") from None
    except MALFORMED as error:
        raise ModelError(f"{path} is damaged: {error}", "save it again with its own tool") from None


def read_zip(path: Path) -> tuple[Any, dict[str, bytes]]:
    """The pickled object and the storages of a zip archive, which is read in memory."""
    with zipfile.ZipFile(path) as archive:
        members = {entry.filename: entry for entry in archive.infolist()}
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in members.values()):
            raise ModelError("the archive is compressed, which torch.save never does", AGAIN)
        roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise ModelError("the archive holds no data.pkl, so torch.save did not write it", AGAIN)
        root = roots[0]
        if members[f"{root}data.pkl"].file_size > LARGEST_PICKLE:
            raise ModelError(f"its pickle is larger than {LARGEST_PICKLE:,} bytes", AGAIN)
        order = members.get(f"{root}byteorder")
        if order is not None and archive.read(order) != b"little":
            raise ModelError("its numbers are big-endian", "save it on another machine")
        found = read_pickle(io.BytesIO(archive.read(f"{root}data.pkl")), storage_of)
        prefix = f"{root}data/"
        storages = {
            name.removeprefix(prefix): archive.read(name)
            for name in members
            if name.startswith(prefix)
        }
    return found, storages


def read_legacy(path: Path) -> tuple[Any, dict[str, bytes]]:
    """The pickled object and the storages of a file from before torch 1.6."""
    kinds: dict[str, str] = {}

    def refer(reference: Any) -> Any:
        found = storage_of(reference)
        if isinstance(found, Storage):
            kinds[found.key] = found.kind
        return found

    with path.open("rb") as file:
        stream = io.BytesIO(file.read())
    if read_pickle(stream) != LEGACY_MAGIC:
        raise ModelError("it was not written by torch.save", AGAIN)
    read_pickle(stream)  # the protocol's version
    about = read_pickle(stream)
    if isinstance(about, dict) and not about.get("little_endian", True):
        raise ModelError("its numbers are big-endian", "save it on another machine")
    found = read_pickle(stream, refer)
    storages = {}
    for key in read_pickle(stream):
        count = int.from_bytes(stream.read(8), "little")
        size = count * type_of(kinds[key]).itemsize
        storages[key] = stream.read(size)
    return found, storages


AGAIN = "save the weights alone, for example as .safetensors or .npz, and import those"


def storage_of(reference: Any) -> Any:
    """What a persistent id of torch stands for: a storage, or a module's class."""
    kind = reference[0] if isinstance(reference, tuple) and reference else None
    if kind == "storage" and isinstance(reference[1], Record):
        return Storage(reference[1].name.split()[-1].removesuffix("Storage"), str(reference[2]))
    if kind == "module":  # the class, with its source text, which nobody needs
        return reference[1]
    raise ModelError("its pickle refers to something that is no storage", AGAIN)


def type_of(kind: str) -> torch.dtype:
    """The type of a storage's numbers.  Raises ``ModelError``."""
    if kind not in TYPES:
        raise ModelError(f"its numbers are of the unknown kind {kind}", AGAIN)
    return TYPES[kind]


def tensor_of(record: Record, storages: Mapping[str, bytes]) -> Tensor:
    """The tensor that a ``_rebuild_tensor`` would have made.  Raises ``ModelError``."""
    storage, offset, size, stride = record.arguments[:4]
    numbers = (*size, *stride, offset)
    if not isinstance(storage, Storage) or not all(type(x) is int and x >= 0 for x in numbers):
        raise ModelError("its pickle holds a tensor that is none", AGAIN)
    kind, content = type_of(storage.kind), storages.get(storage.key, b"")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and (last + 1) * kind.itemsize > len(content):
        raise ModelError("its pickle holds a tensor beyond its storage", AGAIN)
    if math.prod(size) * kind.itemsize > len(content):  # strides of zero repeat what is there
        raise ModelError("its pickle holds a tensor larger than its storage", AGAIN)
    if not math.prod(size):
        return torch.zeros(size)
    flat = torch.frombuffer(bytearray(content), dtype=kind)
    return flat.as_strided(size, stride, offset).clone()


def module_of(found: Any, storages: Mapping[str, bytes]) -> Module:
    """The parameters below what a file holds: a module, a state dict, or a list that begins with
    one of them, as AWD-LSTM saves it.
    """
    module = Module({}, {}, {})
    if isinstance(found, list | tuple) and found:
        found = found[0]
    if isinstance(found, Record) and "_parameters" in found.state:
        collect(found, "", module, storages, 0)
    elif isinstance(found, dict):
        for wrapper in ("state_dict", "model_state_dict", "model"):  # checkpoints of a training
            found = found[wrapper] if isinstance(found.get(wrapper), dict) else found
        for name, value in found.items():
            if is_tensor(value):
                module.tensors[str(name)] = tensor_of(value, storages)
    if not module.tensors:
        raise ModelError("it holds neither a module nor a state dict", AGAIN)
    return module


def collect(
    record: Record, path: str, module: Module, storages: Mapping[str, bytes], depth: int
) -> None:
    """Add the parameters of a module and of those in it to ``module``."""
    if depth > DEEPEST:
        raise ModelError("its modules are nested too deeply", AGAIN)
    state = record.state
    module.classes[path] = record.name.split()[-1]
    plain = (str, int, float, bool)
    module.attributes[path] = {k: v for k, v in state.items() if isinstance(v, plain)}
    prefix = f"{path}." if path else ""
    for name, value in entries(state.get("_parameters")):
        if is_tensor(value):
            module.tensors[prefix + name] = tensor_of(value, storages)
    for name, value in entries(state.get("_modules")):
        if isinstance(value, Record):
            collect(value, prefix + name, module, storages, depth + 1)


def entries(value: Any) -> list[tuple[str, Any]]:
    """The items of a dict; none for anything else."""
    return [(str(name), each) for name, each in value.items()] if isinstance(value, dict) else []


def is_tensor(value: Any) -> bool:
    """Whether a record stands for a tensor."""
    return isinstance(value, Record) and value.name.startswith("torch._utils _rebuild_tensor")
