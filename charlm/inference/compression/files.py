"""Where bytes to compress come from and go to: files, and ``-`` for the standard streams."""

import os
import sys
from pathlib import Path

from charlm import durable
from charlm.data.sources.pieces import reason
from charlm.errors import CheckpointError, ConfigError, CorpusError
from charlm.inference.compression.archive import Header

__all__ = ["STREAM", "find_run", "name_compressed", "name_original", "read_source", "save"]

STREAM = Path("-")
SUFFIX = ".charlm"


def read_source(path: Path) -> bytes:
    """All of a file or of standard input.  Raises ``CorpusError``."""
    try:
        return sys.stdin.buffer.read() if path == STREAM else path.read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {reason(error)}", "check the path") from None


def name_compressed(source: Path, out: Path | None, *, force: bool) -> Path:
    """Where to put the compressed ``source``: beside it, unless told.

    Raises ``CorpusError`` for what exists or cannot be made, ``ConfigError`` for a terminal.
    """
    if out is None:
        out = STREAM if source == STREAM else source.with_name(source.name + SUFFIX)
    if out == STREAM and sys.stdout.isatty():
        raise ConfigError("compressed bytes are not for a terminal", "name a file with --out")
    return checked(out, force=force)


def name_original(source: Path, out: Path | None, *, force: bool) -> Path:
    """Where to put what ``source`` was made from: beside it, without its ending, unless told.

    Raises ``CorpusError`` for what exists or cannot be made, ``ConfigError`` for another ending.
    """
    if out is None and source != STREAM and (source.suffix != SUFFIX or source.name == SUFFIX):
        raise ConfigError(f"{source} does not end in {SUFFIX}", "say where to write with --out")
    if out is None:
        out = STREAM if source == STREAM else source.with_suffix("")
    return checked(out, force=force)


def checked(target: Path, *, force: bool) -> Path:
    """``target`` if it can be written.  Raises ``CorpusError``; long work would be in vain."""
    if target == STREAM:
        return target
    if target.is_dir():
        raise CorpusError(f"{target} is a folder", "name a file with --out")
    if not target.parent.is_dir():
        raise CorpusError(f"there is no folder {target.parent}", "make it, or choose another --out")
    if not force and (target.exists() or target.is_symlink()):
        raise CorpusError(
            f"{target} exists already", "choose another --out, or replace it with --force"
        )
    return target


def save(target: Path, content: bytes, *, force: bool) -> None:
    """Write all or nothing.  Raises ``CorpusError``."""
    if target == STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        durable.write_bytes(checked(target, force=force), content)
    except OSError as error:
        raise CorpusError(
            f"{target} cannot be written: {reason(error)}", "choose another --out, with room"
        ) from None


def find_run(source: Path, header: Header, given: Path | None) -> Path:
    """The run that ``source`` was compressed with, as it was called then, from here or beside it.

    Raises ``CheckpointError`` if it is in neither place.
    """
    if given is not None:
        return given
    run = Path(os.fsdecode(header.run))
    for place in (run, source.parent / run):
        if place.is_dir():
            return place
    raise CheckpointError(
        f"{source} was compressed with the run {run}, which is not here",
        "name it with --run",
    )
