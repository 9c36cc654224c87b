"""Whether files are what their manifest says: sizes, SHA-256, and what cannot be read just now."""

import errno
import hashlib
import json
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import safetensors

from charlm.errors import CheckpointError, counted
from charlm.untrusted import parse_json, read_file

__all__ = [
    "MALFORMED",
    "UnreadableError",
    "damaged",
    "digest",
    "files_of",
    "is_best",
    "is_whole",
    "manifest_of",
    "newer_version",
    "read_best",
    "read_json",
    "refuse_special",
    "unreadable",
    "verified",
]

FORMAT = 1
MODEL, TRAIN, STATE, MANIFEST = (
    "model.safetensors",
    "train.safetensors",
    "state.json",
    "manifest.json",
)
LARGEST_JSON = 1 << 20
AGAIN = "-again"
"""End of the name of a checkpoint whose predecessor of the same step is still there."""
LONGEST_REASON = 300
"""Characters of a reason in a message at most: what is wrong with a file may repeat the file."""

GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR)
"""Errors that say what a folder holds; others, like a lack of permission, say nothing about it."""


MALFORMED = (
    KeyError,
    TypeError,
    AttributeError,
    ValueError,
    OverflowError,
    RecursionError,
    safetensors.SafetensorError,
)
"""What reading a file of another form than ours may raise."""

WHOLE: set[tuple[Any, ...]] = set()
"""Signatures of the files of checkpoints that this process has found whole."""


class UnreadableError(CheckpointError):
    """A checkpoint that may be whole but cannot be read now, or is from a newer version."""


def files_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Size in bytes and SHA-256 of each file, from the manifest.

    Raises ``CheckpointError``, or one of ``MALFORMED`` for a manifest of another form.
    """
    manifest = read_json(folder / MANIFEST)
    if manifest["format"] > FORMAT:
        raise newer_version(folder)
    step = int(folder.name.removeprefix("step-").removesuffix(AGAIN))
    files = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest["files"].items()}
    # No hash covers the manifest, so each of its bytes must be the one that was written.
    written = manifest_of(step, files)
    verified(folder / MANIFEST, len(written), digest(written))
    return files


def manifest_of(step: int, files: Mapping[str, tuple[int, str]]) -> bytes:
    """The content of a manifest: size in bytes and SHA-256 of each file of a checkpoint."""
    table = {name: {"bytes": size, "sha256": sha256} for name, (size, sha256) in files.items()}
    return json.dumps({"format": FORMAT, "step": step, "files": table}, indent=1).encode()


def is_whole(folder: Path) -> bool:
    """Whether every file of a checkpoint can be read and has its size and SHA-256.

    A checkpoint whose files have not changed since it was last found whole is not read again.
    """
    try:
        signature = tuple(
            (name, found.st_ino, found.st_size, found.st_mtime_ns)
            for name in (MODEL, TRAIN, STATE, MANIFEST)
            for found in [(folder / name).lstat()]
        )
        if signature in WHOLE:
            return True
        files = files_of(folder)
        for name in (MODEL, TRAIN, STATE):
            verify(folder / name, *files[name])
    except (CheckpointError, OSError, *MALFORMED):
        return False
    WHOLE.add(signature)
    return True


def verify(path: Path, size: int, sha256: str) -> None:
    """Raise what ``verified`` raises, without holding the whole file in memory."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            raise damaged(path.parent, f"{path.name} is not a file of {counted(size, 'byte')}")
        with path.open("rb") as file:
            found_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error
    if found_sha256 != sha256:
        raise damaged(path.parent, f"{path.name} has changed since it was written")


def verified(path: Path, size: int, sha256: str) -> bytes:
    """The content of a file that agrees with its manifest.  Raises ``CheckpointError``."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:  # a link is none either
            raise damaged(path.parent, f"{path.name} is not a file of {counted(size, 'byte')}")
        content = read_file(path, found.st_size)
    except OSError as error:
        raise unreadable(path, error) from error
    if digest(content) != sha256:
        raise damaged(path.parent, f"{path.name} has changed since it was written")
    return content


def refuse_special(folder: Path, files: Sequence[str], folders: Sequence[str]) -> None:
    """Raise ``CheckpointError`` where a name of a run is a link, a pipe or a device.

    Links might lead out of the run, and what is written there would be lost.
    """
    for name in (*files, *folders):
        path, kind = folder / name, "file" if name in files else "folder"
        fitting = path.is_file() if kind == "file" else path.is_dir()
        if path.is_symlink() or (path.exists() and not fitting):
            raise CheckpointError(
                f"{path} is a link or no {kind}, and might lead out of the run",
                f"put the {kind} itself in its place; the rest of the run is not touched",
            )


def read_json(path: Path) -> dict[str, Any]:
    """A small JSON object from a file.  Raises ``CheckpointError``."""
    try:
        value = parse_json(read_file(path, LARGEST_JSON))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise damaged(path.parent, f"{path.name} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise damaged(path.parent, f"{path.name} is no JSON object")
    return value


def read_best(path: Path) -> dict[str, Any] | None:
    """The content of a ``best.json``, or None where it is none."""
    try:
        best = read_json(path)
    except CheckpointError:
        return None
    return best if is_best(best) else None


def is_best(value: Any) -> bool:
    """Whether this names a step as ``best.json`` does."""
    step = value.get("step") if isinstance(value, dict) else None
    return isinstance(step, int) and 0 <= step < 10**12


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def damaged(folder: Path, why: str) -> CheckpointError:
    """The error for a checkpoint that cannot be believed."""
    why = " ".join(why.split())[:LONGEST_REASON]
    return CheckpointError(
        f"the checkpoint {folder} is damaged: {why}",
        "restore the folder, or use an older checkpoint",
    )


def unreadable(path: Path, error: OSError) -> CheckpointError:
    """The error for a file of a checkpoint that cannot be opened: damage if it is not there."""
    why = f"{path.name}: {error.strerror}"
    if error.errno in GONE:
        return damaged(path.parent, why)
    return UnreadableError(
        f"the checkpoint {path.parent} cannot be read now: {why}",
        "make it readable and try again; nothing was changed",
    )


def newer_version(folder: Path) -> UnreadableError:
    """The error for what a later version wrote."""
    return UnreadableError(
        f"{folder} was written by a newer charlm", "upgrade charlm, or train with this version"
    )
