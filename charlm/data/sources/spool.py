"""Standard input and named pipes, kept in files so that they can be read again."""

import atexit
import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import IO

from charlm import durable
from charlm.data.cache import cache_folder
from charlm.data.sources.pieces import printable, reason, unreadable
from charlm.errors import CorpusError, way_out

__all__ = ["lasting_file", "spool", "spooled_input"]

INPUT = "input.txt"

spooled: list[tuple[object, Path]] = []
"""The standard input that was last read, and where it went: it can be read only once."""


def spooled_input() -> Path:
    """The file that holds standard input, which is read when it is first asked for."""
    if not spooled or spooled[-1][0] is not sys.stdin:
        spooled[:] = [(sys.stdin, spool(sys.stdin.buffer, "standard input"))]
    return spooled[-1][1]


def lasting_file(source: str) -> tuple[Path, str]:
    """The file that ``source`` names, which can be read again and again, and what messages call it.

    ``-`` is standard input; a pipe with a name is read to its end.  Raises ``CorpusError`` for what
    is not there, a device, and a pipe that cannot be kept.
    """
    if source == "-":
        return spooled_input(), "standard input"
    path, name = Path(source), printable(source)
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise unreadable(name, error) from None
    except ValueError:  # a null character
        raise CorpusError(f"{name!r} is the name of no file", "check the path") from None
    if stat.S_ISFIFO(mode):
        with path.open("rb") as pipe:
            return spool(pipe, name), name
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise CorpusError(f"{name} is neither a file nor a pipe", "give a text file")
    return path, name


def spool(stream: IO[bytes], name: str) -> Path:
    """Copy ``stream`` to a temporary file that is removed at exit, and remove those of processes
    that were killed.  Raises ``CorpusError``.
    """
    folder = cache_folder() / "spool"
    try:
        durable.make_folder(folder)
        durable.remove_leftovers(folder / INPUT)
        path, owner = durable.temporary_name(folder / INPUT), os.getpid()
        with durable.create(path, private=True) as file:

            @atexit.register
            def remove() -> None:
                # A forked child has inherited this, and must leave the file to its parent.
                if os.getpid() == owner:
                    with contextlib.suppress(OSError):
                        durable.remove_file(path)

            while block := stream.read(1 << 20):
                file.write(block)
    except OSError as error:
        raise CorpusError(
            f"{name} cannot be kept under {folder}: {reason(error)}",
            f"{way_out(error)}, or set CHARLM_CACHE to another folder",
        ) from None
    return path
