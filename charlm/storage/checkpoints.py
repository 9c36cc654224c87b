"""Checkpoints: a folder each, whole or absent, verified before it is believed.

``step-00001200/`` holds ``model.safetensors``, ``train.safetensors``, ``state.json`` and
``manifest.json`` with the size and SHA-256 of the others.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from charlm import durable
from charlm.errors import CheckpointError

__all__ = ["Checkpoint", "list_checkpoints", "prune", "read_checkpoint", "write_checkpoint"]

FORMAT = 1
MODEL, TRAIN, STATE, MANIFEST = (
    "model.safetensors",
    "train.safetensors",
    "state.json",
    "manifest.json",
)
LARGEST_JSON = 1 << 20
FOLDER_NAME = re.compile(r"step-(\d{8,12})")


@dataclass(frozen=True)
class Checkpoint:
    """What was saved at a step: weights, the optimizer's and the lanes' tensors, and counters."""

    step: int
    model: dict[str, Tensor]
    train: dict[str, Tensor]
    state: dict[str, Any]


def write_checkpoint(
    folder: Path,
    step: int,
    model: Mapping[str, Tensor],
    train: Mapping[str, Tensor],
    state: Mapping[str, Any],
) -> Path:
    """Write ``folder/step-N``; it appears whole or not at all.

    Raises ``CheckpointError`` if the disk is full or not writable; what existed stays.
    """
    target = folder / f"step-{step:08d}"
    contents = {
        MODEL: safetensors.torch.save(ready(model)),
        TRAIN: safetensors.torch.save(ready(train)),
        STATE: json.dumps({"format": FORMAT, "step": step, **state}, indent=1).encode(),
    }
    files = {name: {"bytes": len(c), "sha256": digest(c)} for name, c in contents.items()}
    manifest = json.dumps({"format": FORMAT, "step": step, "files": files}, indent=1)
    replaced = durable.temporary_name(target)
    try:
        if target.exists():  # damaged, or without the validation of its step
            target.rename(replaced)
        with durable.write_folder(target) as temporary:
            for name, content in contents.items():
                (temporary / name).write_bytes(content)
            (temporary / MANIFEST).write_text(manifest, encoding="utf-8")
    except OSError as error:
        if replaced.exists():
            replaced.rename(target)
        needed = sum(len(content) for content in contents.values()) / 1e6
        raise CheckpointError(
            f"cannot save a checkpoint in {folder}: {error.strerror}",
            f"make {needed:,.1f} MB of room there, then give the same command again",
        ) from error
    shutil.rmtree(replaced, ignore_errors=True)
    return target


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read and verify one checkpoint folder.

    Raises ``CheckpointError`` naming the file unless every size and SHA-256 agrees.
    """
    manifest = read_json(folder / MANIFEST)
    try:
        if manifest["format"] > FORMAT:
            raise newer_version(folder)
        files = {
            name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()
        }
        contents = {name: verified(folder / name, *files[name]) for name in (MODEL, TRAIN, STATE)}
        state = json.loads(contents[STATE])
        model, train = (safetensors.torch.load(contents[name]) for name in (MODEL, TRAIN))
        return Checkpoint(int(state["step"]), model, train, state)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise damaged(folder, str(error)) from error
    except safetensors.SafetensorError as error:
        raise damaged(folder, str(error)) from error


def list_checkpoints(folder: Path) -> list[Path]:
    """Folders that are named like checkpoints, oldest first; links are not followed."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if FOLDER_NAME.fullmatch(path.name)]
    real = [path for path in found if path.is_dir() and not path.is_symlink()]
    return sorted(real, key=step_of)


def step_of(path: Path) -> int:
    """The step in a checkpoint folder's name."""
    return int(path.name.removeprefix("step-"))


def prune(folder: Path, keep: set[int], newest: int = 2) -> None:
    """Remove all checkpoints but the ``newest`` ones and those whose step is in ``keep``."""
    for path in list_checkpoints(folder)[:-newest]:
        if step_of(path) not in keep:
            # Renamed first: a half-removed folder must not look like a checkpoint.
            doomed = durable.temporary_name(path)
            path.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what an interrupted save or removal left; nothing else carries its mark."""
    if folder.is_dir():
        for path in folder.glob(f"*{durable.TEMPORARY_MARK}*"):
            shutil.rmtree(path, ignore_errors=True)


def ready(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors as safetensors takes them: on the CPU, contiguous, none sharing memory."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def verified(path: Path, size: int, sha256: str) -> bytes:
    """The content of a file that agrees with its manifest.  Raises ``CheckpointError``."""
    try:
        if path.is_symlink() or path.stat().st_size != size:
            raise damaged(path.parent, f"{path.name} does not have its {size} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise damaged(path.parent, f"{path.name}: {error.strerror}") from error
    if digest(content) != sha256:
        raise damaged(path.parent, f"{path.name} has changed since it was written")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON object from a file.  Raises ``CheckpointError``."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise damaged(path.parent, f"{path.name} is too large")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise damaged(path.parent, f"{path.name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise damaged(path.parent, f"{path.name} is no JSON") from error
    if not isinstance(value, dict):
        raise damaged(path.parent, f"{path.name} is no JSON object")
    return value


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def damaged(folder: Path, why: str) -> CheckpointError:
    """The error for a checkpoint that cannot be believed."""
    why = " ".join(why.split())
    return CheckpointError(
        f"the checkpoint {folder} is damaged: {why}",
        "restore the folder, or use an older checkpoint",
    )


def newer_version(folder: Path) -> CheckpointError:
    """The error for what a later version wrote."""
    return CheckpointError(
        f"{folder} was written by a newer charlm", "upgrade charlm, or train with this version"
    )
