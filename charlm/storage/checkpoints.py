"""Checkpoints: a folder each, whole or absent, verified before it is used.

``step-00001200/`` holds ``model.safetensors``, ``train.safetensors``, ``state.json`` and
``manifest.json`` with the size and SHA-256 of the others.

What is on disk while a checkpoint is saved (``tmp``: a name with ``durable.TEMPORARY_MARK``), and
what the next start does with it (``settle``):

1. ``tmp`` being filled: not yet a checkpoint; removed.
2. ``step-N``: whole and on disk, because the rename comes after every fsync.
3. Only where ``step-N`` existed before: the new one is ``step-N-again`` first.  Both are whole;
   ``step-N-again`` is the newer one, and the start finishes the replacement.
4. ``step-N`` renamed to ``tmp``, ``step-N-again`` alone: the start renames it to ``step-N``.
5. ``step-N-again`` renamed to ``step-N``; ``tmp`` is superseded and removed.

So at every moment some name that is read holds a whole checkpoint, if there was one before.
Removed is only what a verified newer checkpoint supersedes: what is damaged or could not be read
neither counts as a checkpoint that is kept nor is it ever deleted.
"""

import errno
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from charlm import durable
from charlm.errors import CheckpointError, way_out
from charlm.storage.integrity import (
    AGAIN,
    FORMAT,
    GONE,
    MALFORMED,
    MANIFEST,
    MODEL,
    STATE,
    TRAIN,
    damaged,
    files_of,
    is_whole,
    manifest_of,
    unreadable,
    verified,
)
from charlm.storage.tensors import blocks_of, size_of
from charlm.untrusted import parse_json

__all__ = [
    "Checkpoint",
    "fill",
    "folder_name",
    "list_checkpoints",
    "prune",
    "read_checkpoint",
    "read_state",
    "settle",
    "step_of",
    "write_checkpoint",
]

FOLDER_NAME = re.compile(r"step-[0-9]{8,12}(-again)?")
LARGEST_HEADER = 1 << 20
"""Bytes of the names, types and shapes of tensors at most: some 10,000 tensors."""

NEWEST = 2
"""Newest checkpoints that are kept: the last one may turn out to be damaged."""

MARK = durable.TEMPORARY_MARK
FULL = (errno.ENOSPC, errno.EDQUOT)


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
    target = folder / folder_name(step)
    again = target.exists()  # damaged, or without the validation of its step
    written = target.with_name(target.name + AGAIN) if again else target
    try:
        with durable.write_folder(written) as temporary:
            fill(temporary, step, model, train, state)
        if again:
            replace_by(written)
    except OSError as error:
        needed = (size_of(model) + size_of(train) + len(json.dumps(state))) / 1e6
        space = f"make {needed:,.1f} MB of disk space free"
        advice = space if error.errno in FULL else way_out(error)
        raise CheckpointError(
            f"cannot save a checkpoint in {folder}: {error.strerror}",
            f"{advice}, then train again: training resumes from the checkpoint before",
        ) from error
    return target


def fill(
    folder: Path,
    step: int,
    model: Mapping[str, Tensor],
    train: Mapping[str, Tensor],
    state: Mapping[str, Any],
) -> None:
    """Write the files of a checkpoint into an unfinished folder.  Raises ``OSError``."""
    about = json.dumps({"format": FORMAT, "step": step, **state}, indent=1).encode()
    contents = {MODEL: blocks_of(model), TRAIN: blocks_of(train), STATE: iter([about])}
    files = {name: write_file(folder / name, each) for name, each in contents.items()}
    write_file(folder / MANIFEST, iter([manifest_of(step, files)]))


def write_file(path: Path, blocks: Iterator[bytes | memoryview]) -> tuple[int, str]:
    """Write a new file; returns its size in bytes and its SHA-256.  Raises ``OSError``."""
    size, digest = 0, hashlib.sha256()
    with durable.create(path) as file:
        for block in blocks:
            file.write(block)
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def replace_by(again: Path) -> None:
    """Give ``step-N-again``, whole and on disk, the name ``step-N``, and remove the old one.

    A damaged old one keeps a name of its own, for whoever wants to restore it.  Raises ``OSError``.
    """
    target = again.with_name(again.name.removesuffix(AGAIN))
    superseded = durable.temporary_name(target)
    if target.exists():
        if not is_whole(target):
            superseded = target.with_name(f"damaged-{superseded.name.replace(MARK, '-')}")
        durable.rename(target, superseded)
    durable.rename(again, target)
    if durable.TEMPORARY_MARK in superseded.name:
        durable.remove_folder(superseded)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read and verify one checkpoint folder.

    Raises ``CheckpointError`` naming the file unless every size and SHA-256 agrees, and its kind
    ``UnreadableError`` where the system does not let it be read or a newer charlm wrote it.
    """
    try:
        files = files_of(folder)
        state = parse_json(verified(folder / STATE, *files[STATE]))
        model, train = (
            tensors_of(verified(folder / name, *files[name]), name) for name in (MODEL, TRAIN)
        )
        return Checkpoint(int(state["step"]), model, train, state)
    except MALFORMED as error:
        raise damaged(folder, str(error)) from error


def tensors_of(content: bytes, name: str) -> dict[str, Tensor]:
    """The tensors of the file ``name`` by their names.  Raises one of ``MALFORMED``."""
    if int.from_bytes(content[:8], "little") > LARGEST_HEADER:
        raise ValueError(f"{name} has a header of more than {LARGEST_HEADER:,} bytes")
    try:
        return safetensors.torch.load(content)
    except MALFORMED as error:
        raise ValueError(f"{name}: {error}") from error


def read_state(folder: Path) -> dict[str, Any]:
    """The verified content of a checkpoint's ``state.json``; its tensors are not read.

    Raises what ``read_checkpoint`` does.
    """
    try:
        state = parse_json(verified(folder / STATE, *files_of(folder)[STATE]))
        return {"step": int(state["step"]), **state}
    except MALFORMED as error:
        raise damaged(folder, str(error)) from error


def list_checkpoints(folder: Path) -> list[Path]:
    """Folders that are named like checkpoints, oldest first; links are not followed.

    Raises ``UnreadableError`` if the folder cannot be listed.
    """
    try:
        found = [path for path in folder.iterdir() if FOLDER_NAME.fullmatch(path.name)]
        real = [path for path in found if not path.is_symlink() and path.is_dir()]
    except OSError as error:
        if error.errno in GONE:
            return []
        raise unreadable(folder, error) from error
    return sorted(real, key=lambda path: (step_of(path), path.name))


def folder_name(step: int) -> str:
    """The name of the folder of a step's checkpoint."""
    return f"step-{step:08d}"


def step_of(path: Path) -> int:
    """The step in a checkpoint folder's name."""
    return int(path.name.removeprefix("step-").removesuffix(AGAIN))


def prune(folder: Path, keep: set[int]) -> None:
    """Remove whole checkpoints but the ``NEWEST`` ones and those whose step is in ``keep``.

    What is damaged or cannot be read is not counted and stays.
    """
    for path in list(filter(is_whole, list_checkpoints(folder)))[:-NEWEST]:
        if step_of(path) not in keep:
            durable.remove_folder(path)


def settle(folder: Path) -> None:
    """Finish or undo what an interrupted save left (states 1 to 5 above).

    The caller holds the lock of the run.  Raises ``UnreadableError``.
    """
    for path in list_checkpoints(folder):
        if path.name.endswith(AGAIN) and is_whole(path):
            replace_by(path)
    if folder.is_dir():
        for path in folder.glob(f"*{MARK}*"):
            durable.remove_folder(path)
