"""The log of a run: one JSON object a line for each report, the source of every curve."""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from charlm.durable import naming

__all__ = ["Log"]


@dataclass(frozen=True)
class Log:
    """The file ``log.jsonl`` of a run; it is made when the first line is written.

    ``waiting`` are lines that could not be written yet.
    """

    path: Path
    waiting: list[bytes] = field(default_factory=list)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line, with the time of day (UTC).

        It becomes durable with the next checkpoint.  Raises ``OSError`` if it cannot be written
        now; it is then written before the next one.
        """
        line = {**record, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        self.waiting.append(f"{json.dumps(line)}\n".encode())
        self.write()

    def write(self) -> None:
        """Write the lines that wait, all or none.  Raises ``OSError``."""
        content = b"".join(self.waiting)
        with naming(self.path), self.path.open("ab", buffering=0) as file:
            length = file.tell()
            if file.write(content) != len(content):  # the disk is full
                file.truncate(length)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.waiting.clear()

    def sync(self) -> int:
        """Make the log durable; returns its length in bytes, for the checkpoint to remember.

        Raises ``OSError``.
        """
        self.write()
        with naming(self.path), self.path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def cut(self, length: int) -> None:
        """Drop the lines after ``length`` bytes, which are newer than the resumed checkpoint, and
        those that wait.  Raises ``OSError``.
        """
        self.waiting.clear()
        with naming(self.path), self.path.open("ab") as file:
            file.truncate(min(length, file.tell()))
