"""Durable writes: what appears under its final name is whole and on the disk.

A file is written under a temporary name in the same folder, fsynced, renamed, and the folder is
fsynced; a folder is filled under a temporary name and renamed.  After a crash at any moment the
final name holds either the old content or the new one.  Only the standard library is used, because
every floor above writes through here.

``check_output`` and ``write_output`` are for the files that a user names: a device or a pipe is
written into and stays what it is.
"""

import glob
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from charlm.errors import CorpusError, way_out

__all__ = [
    "TEMPORARY_MARK",
    "check_output",
    "naming",
    "remove_leftovers",
    "sync_folder",
    "temporary_name",
    "write_bytes",
    "write_folder",
    "write_output",
    "write_text",
]

TEMPORARY_MARK = ".charlm-tmp-"
"""Part of the name of everything unfinished, so that nothing else is ever cleaned away."""


PROCESS = secrets.token_hex(4)
"""Tells this process from earlier ones with its number, as they occur in containers."""


def temporary_name(path: Path) -> Path:
    """A fresh name beside ``path``; the caller creates it.

    It tells which process uses it, so that ``remove_leftovers`` leaves it alone meanwhile.
    """
    owner = f"{os.getpid()}-{PROCESS}"
    return path.with_name(f"{path.name}{TEMPORARY_MARK}{owner}-{secrets.token_hex(4)}")


def remove_leftovers(path: Path) -> None:
    """Remove unfinished files and folders beside ``path``, meant to become it, of processes that
    have ended.  What cannot be removed stays.
    """
    for found in path.parent.glob(f"{glob.escape(path.name)}{TEMPORARY_MARK}*"):
        number, _, process = found.name.partition(TEMPORARY_MARK)[2].partition("-")
        if number.isdigit() and not runs(int(number), process.partition("-")[0]):
            remove(found)


def runs(number: int, process: str) -> bool:
    """Whether a process of this machine still runs, as far as can be known."""
    if number == os.getpid():
        return process == PROCESS
    try:
        if os.name == "posix":  # elsewhere this would end the process
            os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the system in the block name ``path``; those of fsync name no file."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable.  Raises ``OSError``."""
    with naming(folder):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of ``path`` durable.  Raises ``OSError``."""
    with naming(path), path.open("rb") as file:
        os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, all or nothing.  Raises ``OSError``; the old one stays."""
    write_blocks(path, [content])


def write_blocks(path: Path, blocks: Iterable[bytes]) -> None:
    """Replace ``path`` by all blocks in order, all or nothing.

    Raises ``OSError``; the old file stays.
    """
    temporary = temporary_name(path)
    try:
        with naming(path):
            with temporary.open("xb") as file:
                file.writelines(blocks)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_text(path: Path, content: str) -> None:
    """Replace ``path`` by ``content`` in UTF-8 with the line breaks as given, all or nothing."""
    write_bytes(path, content.encode("utf-8"))


@contextmanager
def write_folder(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder that becomes ``path`` when the block ends without an error.

    ``path`` must not exist.  Every file is fsynced before the rename, so the folder appears whole
    or not at all.  Raises ``OSError``; the temporary folder is then removed.
    """
    temporary = temporary_name(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        for folder, _, names in os.walk(temporary):
            for name in names:
                sync_file(Path(folder, name))
            sync_folder(Path(folder))
        temporary.rename(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(path.parent)


def check_output(path: Path, *, force: bool | None = None) -> None:
    """Refuse a file that cannot or must not be written, before the long work that fills it.

    ``force`` replaces a file that exists; None where the caller cannot be asked to.  Raises
    ``CorpusError`` for a file that exists, a folder, a block device or a socket, and where the
    folder to write in is missing.
    """
    mode = mode_of(path)
    if mode is None:
        if not path.resolve().parent.is_dir():
            raise CorpusError(
                f"there is no folder {path.parent}", "make it, or choose another `out`"
            )
    elif stat.S_ISDIR(mode):
        raise CorpusError(f"{path} is a folder", "name a file: `out=FILE`")
    elif stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise CorpusError(f"{path} is no file, but a disk or a socket", "choose another `out`")
    elif stat.S_ISREG(mode) and not force:
        otherwise = "remove it first" if force is None else "replace it: `force=True`"
        raise CorpusError(f"{path} exists already", f"choose another `out`, or {otherwise}")


def write_output(
    path: Path, content: bytes | Iterable[bytes], *, force: bool | None = None
) -> None:
    """Write the file that a user named, all or nothing; a device or a pipe is written into.

    A link is followed.  Raises what ``check_output`` does, and ``CorpusError`` if writing fails.
    """
    check_output(path, force=force)
    blocks = [content] if isinstance(content, bytes) else content
    mode = mode_of(path)
    try:
        if mode is None or stat.S_ISREG(mode):
            remove_leftovers(path.resolve())
            write_blocks(path.resolve(), blocks)
        else:
            # Renaming a temporary file over /dev/null would leave the machine without it.
            with path.open("wb") as file:
                file.writelines(blocks)
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be written: {error.strerror or error}",
            f"{way_out(error)}, or choose another `out`",
        ) from None


def mode_of(path: Path) -> int | None:
    """What kind of file ``path`` leads to, as in ``os.stat``; None if there is none."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
