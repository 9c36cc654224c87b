"""Raw arrays of other tools: a folder with a manifest, or an ``.npz`` with a mapping."""

import json
import math
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from charlm.errors import ModelError
from charlm.exchange.foreign.conversion import ForeignLayer, ForeignModel, reorder_gates
from charlm.model.cells import CELLS

__all__ = ["mapped", "read_manifest", "read_npz"]

GATES = {"lstm": "ifgo", "gru": "rzn", "rnn": "h"}
"""Our order of gates, a letter each: input, forget, candidate (g), output; reset, update, new."""

LARGEST = 1 << 33
"""Bytes of all arrays of an archive at most, unpacked."""

WAY_OUT = "see docs/exchange.md for the form of a mapping"


def read_manifest(folder: Path) -> dict[str, Tensor]:
    """The arrays of a folder: ``manifest.json`` names for each a ``filename`` in the folder and
    its ``shape``; the files hold little-endian float32.

    Raises ``ModelError`` for files that are missing, outside the folder or of another size.
    """
    path = folder / "manifest.json"
    try:
        manifest, found = json.loads(path.read_text(encoding="utf-8")), {}
        for name, entry in manifest.items():
            file = folder / entry["filename"]
            if file.parent != folder or file.is_symlink() or not file.is_file():
                raise ValueError(f"{entry['filename']} is no file of the folder")
            shape = [int(size) for size in entry["shape"]]
            if file.stat().st_size != 4 * math.prod(shape) or any(size < 0 for size in shape):
                raise ValueError(f"{entry['filename']} is not of the shape {shape}")
            numbers = np.fromfile(file, dtype="<f4").reshape(shape)
            found[name] = torch.from_numpy(numbers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = getattr(error, "strerror", None) or error
        raise ModelError(
            f"{path} cannot be used: {why}", "give the folder of such a model"
        ) from None
    return found


def read_npz(path: Path) -> dict[str, Tensor]:
    """The arrays of an ``.npz`` archive, none of them pickled.  Raises ``ModelError``."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > LARGEST:
                raise ValueError(f"its arrays have more than {LARGEST:,} bytes")
        with np.load(path, allow_pickle=False) as archive:
            return {name: torch.from_numpy(np.array(archive[name])) for name in archive.files}
    except Exception as error:  # a damaged archive raises whatever its reader happens to meet
        why = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(
            f"{path} is no archive of plain arrays: {why}", "save it with np.savez"
        ) from None


def mapped(tensors: dict[str, Tensor], path: Path) -> ForeignModel:
    """The model whose arrays a mapping in TOML names.

    ``cell``, optional ``gates`` (the order of the blocks, by default ours), ``transposed`` (true
    where matrices are inputs x outputs) and ``forget_bias`` to be added; ``embedding``,
    ``head_weight``, ``head_bias``, and a ``[[layers]]`` each with ``weight_ih``, ``weight_hh`` and
    ``bias``, a name or a list of names to be added, and for the GRU ``bias_hn``.  Raises
    ``ModelError``.
    """
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
        check_mapping(mapping)
        cell = mapping["cell"]
        order = [mapping.get("gates", GATES[cell]).index(gate) for gate in GATES[cell]]
        layers = tuple(map_layer(tensors, mapping, entry, order) for entry in mapping["layers"])
        weight = pick(tensors, mapping["head_weight"])
        weight = weight.T if mapping.get("transposed") else weight
        bias = mapping.get("head_bias")
        return ForeignModel(
            cell, pick(tensors, mapping["embedding"]), layers, weight,
            torch.zeros(len(weight)) if bias is None else pick(tensors, bias),
        )  # fmt: skip
    except KeyError as error:
        raise ModelError(f"{path} lacks or misnames {error}", WAY_OUT) from None
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError, RecursionError) as error:
        why = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise ModelError(f"{path} is no mapping: {why}", WAY_OUT) from None


NAMES = {
    "cell", "gates", "transposed", "forget_bias", "embedding", "head_weight", "head_bias", "layers"
}  # fmt: skip
LAYER_NAMES = {"weight_ih", "weight_hh", "bias", "bias_hn"}


def check_mapping(mapping: dict[str, Any]) -> None:
    """Raise ``ValueError`` for a name that says nothing, such as ``forget_bais``, which would
    otherwise be a wrong model in silence, and for a wrong cell, gates, forget_bias or transposed.
    """
    layers = mapping["layers"]
    if not isinstance(layers, list) or not all(isinstance(each, dict) for each in layers):
        raise ValueError("layers must be tables, [[layers]]")
    unknown = (mapping.keys() - NAMES).union(*(each.keys() - LAYER_NAMES for each in layers))
    if unknown:
        raise ValueError(f"unknown name {min(unknown)!r}")
    if mapping["cell"] not in GATES:
        raise ValueError(f"cell must be one of {', '.join(GATES)}, got {mapping['cell']!r}")
    gates = GATES[mapping["cell"]]
    if sorted(str(mapping.get("gates", gates))) != sorted(gates):
        raise ValueError(f"gates must be an order of {gates!r}, got {mapping['gates']!r}")
    added, turned = mapping.get("forget_bias", 0.0), mapping.get("transposed", False)
    if not isinstance(added, int | float) or not math.isfinite(added):
        raise ValueError(f"forget_bias must be a finite number, got {added!r}")
    if not isinstance(turned, bool):
        raise ValueError(f"transposed must be true or false, got {turned!r}")


def map_layer(
    tensors: dict[str, Tensor], mapping: dict[str, Any], entry: dict[str, Any], order: list[int]
) -> ForeignLayer:
    """One layer, its gates in our order."""
    cell, turned = mapping["cell"], bool(mapping.get("transposed"))
    matrices = [pick(tensors, entry[name]) for name in ("weight_ih", "weight_hh")]
    for name, matrix in zip(("weight_ih", "weight_hh"), matrices, strict=True):
        if matrix.ndim != 2:
            raise ValueError(f"{entry[name]} is no matrix, but of the shape {tuple(matrix.shape)}")
    inputs, recurrence = (reorder_gates(m.T if turned else m, order) for m in matrices)
    rows, size = recurrence.shape
    names = entry.get("bias", [])
    names = [names] if isinstance(names, str) else names
    bias = sum((pick(tensors, name) for name in names), torch.zeros(rows))
    bias = reorder_gates(bias, order)
    forget = CELLS[cell].forget
    if forget is not None:
        bias[size * forget : size * (forget + 1)] += float(mapping.get("forget_bias", 0))
    new = pick(tensors, entry["bias_hn"]) if cell == "gru" else None
    return ForeignLayer(inputs.contiguous(), recurrence.contiguous(), bias, new)


def pick(tensors: dict[str, Tensor], name: str) -> Tensor:
    """The array of that name, in float32."""
    if name not in tensors:
        known = ", ".join(list(tensors)[:8])
        raise ValueError(f"the archive holds no {name}, but {known}")
    return tensors[name].float()
