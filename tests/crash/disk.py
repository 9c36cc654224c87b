"""What a crash may leave on a disk that promises nothing but what was fsynced.

A file system is modelled as inodes: files with content, folders with names.  An fsync of a file
makes its content durable, an fsync of a folder its names.  Of everything later a crash keeps what
it likes: any of the renames, new names and removals, in any combination, and of the data all,
nothing, a beginning, zeros of the right length, or blocks of both.  A rename alone is atomic.
"""

# Many thousand paths: strings are faster.
# ruff: noqa: PTH118, PTH119, PTH120, PTH206

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from charlm import durable
from tests.crash.watch import Operation

__all__ = ["Disk", "crash_states", "fingerprint", "snapshot", "write_tree"]

Tree = dict[str, bytes | None]
"""Paths below the root, and their content; None for a folder."""

ROOT = 0


@dataclass(frozen=True)
class Renaming:
    """A change of a folder's names that is not durable yet: ``adds`` and ``drops`` together."""

    adds: tuple[tuple[str, int], ...] = ()
    drops: tuple[str, ...] = ()


@dataclass
class Disk:
    """Inodes as they are durable, and what has happened to each since; as seen by programs too."""

    root: str
    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    content: dict[int, bytes] = field(default_factory=dict)
    renamings: dict[int, list[Renaming]] = field(default_factory=dict)
    writes: dict[int, list[Operation]] = field(default_factory=dict)
    seen: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    last: int = ROOT

    @classmethod
    def of(cls, root: Path, tree: Tree) -> "Disk":
        """A disk on which all of ``tree`` is durable."""
        disk = cls(os.path.realpath(root))
        for path in sorted(tree):
            full = os.path.join(disk.root, path)
            kind = "mkdir" if tree[path] is None else "make"
            disk.apply(Operation(kind, full))
            if tree[path]:
                disk.apply(Operation("write", full, content=tree[path] or b""))
        for inode in [*disk.renamings, *disk.writes]:
            disk.sync(inode)
        return disk

    def inode(self, path: str) -> int:
        """The inode that a path leads to now."""
        found = ROOT
        for part in [part for part in path[len(self.root) :].split(os.sep) if part]:
            found = self.seen[found][part]
        return found

    def apply(self, operation: Operation) -> None:
        """Let an operation happen."""
        path, name = operation.path, os.path.basename(operation.path)
        if operation.kind == "sync":
            self.sync(self.inode(path))
        elif operation.kind in ("write", "truncate"):
            self.writes.setdefault(self.inode(path), []).append(operation)
        elif operation.kind in ("make", "mkdir"):
            self.last += 1
            if operation.kind == "mkdir":
                self.names[self.last], self.seen[self.last] = {}, {}
            else:
                self.content[self.last] = b""
            self.rename(self.inode(os.path.dirname(path)), Renaming(adds=((name, self.last),)))
        elif operation.kind == "unlink":
            self.rename(self.inode(os.path.dirname(path)), Renaming(drops=(name,)))
        else:
            folder = os.path.dirname(path)
            assert folder == os.path.dirname(operation.target), "a rename between two folders"
            adds = ((os.path.basename(operation.target), self.inode(path)),)
            self.rename(self.inode(folder), Renaming(adds, drops=(name,)))

    def rename(self, folder: int, renaming: Renaming) -> None:
        """Change the names of a folder, as programs see them, and note that it is not durable."""
        self.renamings.setdefault(folder, []).append(renaming)
        change(self.seen[folder], renaming)

    def sync(self, inode: int) -> None:
        """Make all of a file's content or of a folder's names durable."""
        for renaming in self.renamings.pop(inode, ()):
            change(self.names[inode], renaming)
        for write in self.writes.pop(inode, ()):
            self.content[inode] = written(self.content[inode], write)

    def after_crash(self, generator: random.Random, keep: float | None = None) -> Tree:
        """A tree that a crash may leave: each change is kept with probability ``keep``, else one
        drawn for every folder and file.
        """
        tree: Tree = {}
        self.collect(ROOT, "", tree, generator, keep)
        return tree

    def collect(
        self, folder: int, path: str, tree: Tree, generator: random.Random, keep: float | None
    ) -> None:
        names = dict(self.names[folder])
        share = generator.random() if keep is None else keep
        for renaming in self.renamings.get(folder, ()):
            if generator.random() < share:
                change(names, renaming)
        for name, inode in names.items():
            below = f"{path}{os.sep}{name}" if path else name
            if inode in self.names:
                tree[below] = None
                self.collect(inode, below, tree, generator, keep)
            else:
                tree[below] = self.kept_content(inode, generator, keep)

    def kept_content(self, inode: int, generator: random.Random, keep: float | None) -> bytes:
        """What a crash keeps of a file."""
        content, pending = self.content[inode], self.writes.get(inode, [])
        if not pending:
            return content
        whole = content
        for write in pending:
            whole = written(whole, write)
        if keep is not None:
            return whole if keep else content
        return generator.choice((torn, beginning, zeros, lost, kept))(content, whole, generator)


def change(names: dict[str, int], renaming: Renaming) -> None:
    for name in renaming.drops:
        names.pop(name, None)
    names.update(renaming.adds)


def written(content: bytes, write: Operation) -> bytes:
    if write.kind == "truncate":
        return content[: write.offset].ljust(write.offset, b"\0")
    end = write.offset + len(write.content)
    return content[: write.offset].ljust(write.offset, b"\0") + write.content + content[end:]


def shared_length(one: bytes, two: bytes) -> int:
    """How many bytes from the start on are equal."""
    pairs = zip(one, two, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(two)))


def lost(before: bytes, after: bytes, generator: random.Random) -> bytes:
    return before


def kept(before: bytes, after: bytes, generator: random.Random) -> bytes:
    return after


def beginning(before: bytes, after: bytes, generator: random.Random) -> bytes:
    """The old content and some of what follows: the file's length came late."""
    shared = shared_length(before, after)
    return after[: generator.randint(shared, len(after))]


def zeros(before: bytes, after: bytes, generator: random.Random) -> bytes:
    """The length arrived, the data did not."""
    shared = shared_length(before, after)
    return after[:shared].ljust(len(after), b"\0")


def torn(before: bytes, after: bytes, generator: random.Random) -> bytes:
    """Some blocks arrived, others are as before, or zeros where there were none."""
    size = generator.choice((16, 64, 512))
    old = before.ljust(len(after), b"\0")
    blocks = range(0, len(after), size)
    return b"".join(generator.choice((old, after))[i : i + size] for i in blocks)


def crash_states(disk: Disk, generator: random.Random, attempts: int) -> Iterator[Tree]:
    """Trees that a crash right now may leave: nothing and all that is pending, then random ones."""
    yield disk.after_crash(generator, keep=0.0)
    yield disk.after_crash(generator, keep=1.0)
    for _ in range(attempts if disk.renamings or disk.writes else 0):
        yield disk.after_crash(generator)


def fingerprint(tree: Tree) -> bytes:
    """A hash by which two trees are told apart."""
    digest = hashlib.sha256()
    for path in sorted(tree):
        content = tree[path]
        about = f"{path}\0{'folder' if content is None else len(content)}\0"
        digest.update(about.encode() + (content or b""))
    return digest.digest()


def snapshot(root: Path) -> Tree:
    """The tree that is really there."""
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in sorted(root.rglob("*"))
    }


DEAD = "4194304-00000000"
"""A process that has ended: no process of Linux has such a number."""


def write_tree(root: Path, tree: Tree) -> None:
    """Make the folder ``root`` hold ``tree`` and nothing else; who wrote it has ended."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    for named, content in sorted(tree.items()):
        path = named.replace(f"{os.getpid()}-{durable.PROCESS}", DEAD)
        if content is None:
            (root / path).mkdir()
        else:
            (root / path).write_bytes(content)
