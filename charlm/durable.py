"""Durable writes: what appears under its final name is whole and on the disk.

A file is written under a temporary name in the same folder, fsynced, renamed, and the folder is
fsynced; a folder is filled under a temporary name and renamed.  After a crash at any moment the
final name holds either the old content or the new one.  Only the standard library is used, because
every floor above writes, renames and removes its files through here, and nowhere else.

``check_output`` and ``write_output`` are for the files that a user names: a device or a pipe is
written into and stays what it is.
"""

import errno
import glob
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from charlm.errors import CorpusError, way_out

__all__ = [
    "TEMPORARY_MARK",
    "append",
    "check_output",
    "continue_file",
    "create",
    "cut",
    "make_folder",
    "remove_file",
    "remove_folder",
    "remove_leftovers",
    "rename",
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
        if number.isdecimal() and not is_running(int(number), process.partition("-")[0]):
            with suppress(OSError):
                remove_folder(found) if found.is_dir() else remove_file(found)


def is_running(number: int, process: str) -> bool:
    """Whether a process of this machine still runs, to judge by its number and its ``PROCESS``."""
    if number == os.getpid():
        return process == PROCESS
    try:
        with suppress(PermissionError):  # of somebody else
            if os.name == "posix":  # elsewhere this would end the process
                os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    return True


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


def write_bytes(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Replace ``path`` by ``content``, whole or in blocks, all or nothing.

    Raises ``OSError``; the old file stays.
    """
    blocks = [content] if isinstance(content, bytes) else content
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
    make_folder(path.parent)
    temporary.mkdir()
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


def create(path: Path, *, private: bool = False) -> BinaryIO:
    """Open a new file for writing; its folder is one that ``write_folder`` makes durable.

    ``private``: nobody else may read it.  Raises ``OSError``, also where there is a file already.
    """
    file = path.open("xb")
    if private:
        path.chmod(0o600)
    return file


def append(path: Path, content: bytes = b"", *, sync: bool = False) -> int:
    """Write all or nothing of ``content`` at the end of a file, which is made if there is none;
    returns its length.

    All of the file is durable afterwards if ``sync``.  Raises ``OSError``.
    """
    with naming(path), path.open("ab", buffering=0) as file:
        length = file.tell()
        if file.write(content) != len(content):
            file.truncate(length)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        file.flush()
        if sync:
            os.fsync(file.fileno())
        return file.tell()


def cut(path: Path, length: int) -> None:
    """Drop what a file has after ``length`` bytes; it is made if there is none."""
    with naming(path), path.open("ab") as file:
        file.truncate(min(length, file.tell()))


@contextmanager
def continue_file(path: Path, start: int) -> Iterator[BinaryIO]:
    """Open a file for writing from byte ``start`` on; 0 begins it anew.

    What was written is durable at the end, after an error too.  Raises ``OSError``.
    """
    with path.open("r+b" if start else "wb") as file:
        file.seek(start)
        try:
            yield file
        finally:
            file.flush()
            os.fsync(file.fileno())


def make_folder(path: Path) -> None:
    """Make a folder and those above it, durably, where they are missing.  Raises ``OSError``."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def rename(path: Path, target: Path) -> None:
    """Give a file or folder another name in its folder, durably.  Raises ``OSError``."""
    path.replace(target)
    sync_folder(target.parent)


def remove_file(path: Path) -> None:
    """Remove a file, if it is there.  Raises ``OSError``."""
    path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Remove a folder with all that is in it; after a crash none has its name with less in it.

    Raises ``OSError`` where its name cannot be taken away; what cannot be removed then stays under
    a temporary name.
    """
    if TEMPORARY_MARK not in path.name:
        # Without the fsync in between, a crash could bring the name back with half of the content.
        temporary = temporary_name(path)
        rename(path, temporary)
        path = temporary
    shutil.rmtree(path, ignore_errors=True)


def check_output(path: Path, *, force: bool | None = None) -> None:
    """Refuse a file that cannot or must not be written, before the long work that fills it.

    ``force`` replaces a file that exists; None where the caller cannot be asked to.  Raises
    ``CorpusError`` for a file that exists, a folder, a block device or a socket, for a path that
    no file can have, and where the folder to write in is missing.
    """
    if str(path) == "-":
        raise CorpusError("standard output is no file", "name a file, or ./- for -")
    mode = mode_of(path)
    if mode is None:
        if not path.resolve().parent.is_dir():
            raise CorpusError(
                f"there is no folder {path.parent}", "make it, or name a file elsewhere"
            )
    elif stat.S_ISDIR(mode):
        raise CorpusError(f"{path} is a folder", "name a file")
    elif stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
        raise CorpusError(f"{path} is no file, but a disk or a socket", "name a file")
    elif stat.S_ISREG(mode) and not force:
        otherwise = "remove it first" if force is None else "replace it: `force=True`"
        raise CorpusError(f"{path} exists already", f"name another file, or {otherwise}")


def write_output(
    path: Path, content: bytes | Iterable[bytes], *, force: bool | None = None
) -> None:
    """Write the file that a user named, all or nothing; a device or a pipe is written into.

    A link is followed.  Raises what ``check_output`` does, and ``CorpusError`` if writing fails.
    """
    check_output(path, force=force)
    mode = mode_of(path)
    try:
        if mode is None or stat.S_ISREG(mode):
            remove_leftovers(path.resolve())
            write_bytes(path.resolve(), content)
        else:
            # Renaming a temporary file over /dev/null would leave the machine without it.
            with path.open("wb") as file:
                file.writelines([content] if isinstance(content, bytes) else content)
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be written: {error.strerror or error}",
            f"{way_out(error)}, or name another file",
        ) from None


def mode_of(path: Path) -> int | None:
    """What kind of file ``path`` leads to, as in ``os.stat``; None if there is none.  Raises
    ``CorpusError`` where the system does not say, as for a name that is too long.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CorpusError(f"{path} cannot be written: {error.strerror}", way_out(error)) from None
    except ValueError:  # a null character
        raise CorpusError(f"{str(path)!r} is the name of no file", "name another file") from None
