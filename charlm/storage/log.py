"""The log of a run: one JSON object a line for each report, the source of every curve."""

import errno
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from charlm.durable import naming

__all__ = ["Log"]


@dataclass(frozen=True)
class Log:
    """The file ``log.jsonl`` of a run; it is made when the first line is written."""

    path: Path

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line, with the time of day (UTC), or nothing.  Raises ``OSError``.

        It becomes durable with the next checkpoint.
        """
        line = {**record, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        content = f"{json.dumps(line)}\n".encode()
        with naming(self.path), self.path.open("ab", buffering=0) as file:
            length = file.tell()
            if file.write(content) != len(content):  # the disk is full
                file.truncate(length)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self) -> int:
        """Make the log durable; returns its length in bytes, for the checkpoint to remember."""
        with naming(self.path), self.path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def cut(self, length: int) -> None:
        """Drop the lines after ``length`` bytes, which are newer than the resumed checkpoint."""
        with naming(self.path), self.path.open("ab") as file:
            file.truncate(min(length, file.tell()))
