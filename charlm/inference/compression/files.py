"""Where bytes to compress come from and go to: files, and ``-`` for the standard streams."""

import os
import sys
from pathlib import Path

from charlm import durable
from charlm.data.sources.pieces import reason
from charlm.data.sources.spool import lasting_file
from charlm.errors import CheckpointError, ConfigError, CorpusError
from charlm.inference.compression.archive import Archive

__all__ = ["STREAM", "choose_output", "find_run", "read_input", "save"]

STREAM = Path("-")
SUFFIX = ".charlm"


def read_input(path: Path) -> bytes:
    """All of a file or of standard input.  Raises ``CorpusError``."""
    try:
        if path == STREAM:
            return sys.stdin.buffer.read()
        return lasting_file(str(path))[0].read_bytes()
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {reason(error)}", "check the path") from None


def choose_output(source: Path, out: Path | None, *, packs: bool, force: bool) -> Path:
    """Where to write what is made of ``source``: to ``out`` or, if that is None, beside it.

    The name gets the ending .charlm when ``packs``, and else loses it.  Raises ``CorpusError`` for
    what exists or cannot be written, ``ConfigError`` for a terminal or another ending.
    """
    if out is None and source != STREAM:
        if not packs and (source.suffix != SUFFIX or source.name == SUFFIX):
            raise ConfigError(f"{source} does not end in {SUFFIX}", "name a file: `out=FILE`")
        out = source.with_name(source.name + SUFFIX) if packs else source.with_suffix("")
    if out is not None and out != STREAM:
        durable.check_output(out, force=force)
    elif packs and sys.stdout.isatty():
        raise ConfigError("compressed bytes are not for a terminal", "name a file: `out=FILE`")
    return out or STREAM


def save(target: Path, content: bytes, *, force: bool) -> None:
    """Write everything or nothing.  Raises ``CorpusError``."""
    if target == STREAM:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        durable.write_output(target, content, force=force)


def find_run(source: Path, archive: Archive, given: Path | None) -> Path:
    """The run that ``source`` was compressed with, as it was called then, from here or beside it.

    Raises ``CheckpointError`` if it is in neither place.
    """
    if given is not None:
        return given
    run = Path(os.fsdecode(archive.run))
    for place in (run, source.parent / run):
        if place.is_dir():
            return place
    raise CheckpointError(
        f"{source} was compressed with the run {run}, which is not here",
        "name it: `run=RUN`",
    )
