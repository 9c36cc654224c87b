"""Watching the file operations that Python code does below a folder.

Every road of the standard library that ``charlm/durable.py`` takes leads through the few functions
that are replaced here: ``open``, and in ``os`` those of ``REPLACED``.  Needs Linux's /proc.
"""

# What is replaced here takes strings and descriptors.
# ruff: noqa: PTH109, PTH115, PTH118

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

__all__ = ["Operation", "watching"]

REPLACED = ("fsync", "mkdir", "open", "remove", "rename", "replace", "rmdir", "truncate", "unlink")


@dataclass(frozen=True)
class Operation:
    """A file operation: ``kind`` is make (a file), mkdir, write, truncate, sync, rename or unlink.

    ``target`` is the new name of a rename; ``offset`` and ``content`` are those of a write, and
    ``offset`` is the length after a truncation.
    """

    kind: str
    path: str
    target: str = ""
    offset: int = 0
    content: bytes = b""


Before = Callable[[str, str], None]
After = Callable[[Operation], None]


class WatchedFile(io.FileIO):
    """A file whose writes are told."""

    def __init__(
        self, path: str, mode: str, before: Before, after: After, opener: Any = None
    ) -> None:
        super().__init__(path, mode, opener=opener)
        self.path, self.before, self.after = path, before, after

    def write(self, content: Any) -> int:  # type: ignore[override]
        self.before("write", self.path)
        count = super().write(content)
        data = bytes(memoryview(content).cast("B")[:count])
        self.after(Operation("write", self.path, offset=self.tell() - count, content=data))
        return count

    def truncate(self, size: int | None = None) -> int:
        self.before("truncate", self.path)
        size = super().truncate(size)
        self.after(Operation("truncate", self.path, offset=size))
        return size


def no_matter(*_: Any) -> None:
    """Do nothing before or after an operation."""


@contextmanager
def watching(root: Path, before: Before = no_matter, after: After = no_matter) -> Iterator[None]:
    """Call ``before(kind, path)`` and ``after(operation)`` around each operation below ``root``.

    ``before`` may raise, which makes the operation fail, or end the process.
    """
    inside = os.path.realpath(root) + os.sep
    real: dict[str, Any] = {name: getattr(os, name) for name in REPLACED}
    real_open = io.open

    def located(path: Any, dir_fd: int | None = None) -> str:
        if isinstance(path, int):
            found = os.readlink(f"/proc/self/fd/{path}")
        else:
            base = os.getcwd() if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
            found = os.path.normpath(os.path.join(base, os.fspath(path)))
        return found if isinstance(found, str) and (found + os.sep).startswith(inside) else ""

    def told(name: str, kind: str) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, dir_fd: int | None = None, **named: Any) -> Any:
            place = located(path, dir_fd)
            if place:
                before(kind, place)
            if dir_fd is not None:
                named["dir_fd"] = dir_fd
            result = real[name](path, *rest, **named)
            if place:
                target = located(rest[0]) if kind == "rename" else ""
                after(Operation(kind, place, target))
            return result

        return call

    def os_open(path: Any, flags: int, *rest: Any, dir_fd: int | None = None) -> int:
        place = located(path, dir_fd) if flags & os.O_CREAT else ""
        new = bool(place) and not os.path.lexists(place)
        if new:
            before("make", place)
        descriptor: int = real["open"](path, flags, *rest, dir_fd=dir_fd)
        if new:
            after(Operation("make", place))
        return descriptor

    def opened(path: Any, mode: str = "r", buffering: int = -1, *text: Any, **named: Any) -> Any:
        place = "" if isinstance(path, int) else located(path)
        if not place or not set(mode) & set("wax+"):
            return real_open(path, mode, buffering, *text, **named)
        there = os.path.lexists(place)
        before("open" if there else "make", place)
        opener = named.pop("opener", None)
        with patch.object(os, "open", real["open"]):  # of the opener; told already
            raw = WatchedFile(place, mode.replace("b", "").replace("t", ""), before, after, opener)
        if not there:
            after(Operation("make", place))
        elif "w" in mode:
            after(Operation("truncate", place))
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *text, **named)  # type: ignore[type-var]

    kinds = {
        "fsync": "sync", "mkdir": "mkdir", "remove": "unlink", "unlink": "unlink",
        "rmdir": "unlink", "rename": "rename", "replace": "rename",
    }  # fmt: skip
    calls: dict[str, Any] = {name: told(name, kind) for name, kind in kinds.items()}
    with (
        patch.multiple(os, open=os_open, **calls),
        patch.object(io, "open", opened),
        patch.object(builtins, "open", opened),
    ):
        yield
