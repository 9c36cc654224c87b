"""Durable writes: what appears under its final name is whole and on the disk.

A file is written under a temporary name in the same folder, fsynced, renamed, and the folder is
fsynced; a folder is filled under a temporary name and renamed.  After a crash at any moment the
final name holds either the old content or the new one.  Only the standard library is used, because
every floor above writes through here.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["TEMPORARY_MARK", "sync_folder", "write_bytes", "write_folder", "write_text"]

TEMPORARY_MARK = ".charlm-tmp-"
"""Part of the name of everything unfinished, so that nothing else is ever cleaned away."""


def temporary_name(path: Path) -> Path:
    """A fresh name beside ``path``; the caller creates it."""
    return path.with_name(f"{path.name}{TEMPORARY_MARK}{os.getpid()}-{secrets.token_hex(4)}")


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable.  Raises ``OSError``."""
    descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of ``path`` durable.  Raises ``OSError``."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content``, all or nothing.  Raises ``OSError``; the old one stays."""
    temporary = temporary_name(path)
    try:
        with temporary.open("xb") as file:
            file.write(content)
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
