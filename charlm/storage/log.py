"""The log of a run: one JSON object a line for each report, the source of every curve."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from charlm import durable

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
        durable.append(self.path, b"".join(self.waiting))
        self.waiting.clear()

    def sync(self) -> int:
        """Make the log durable; returns its length in bytes, for the checkpoint to remember.

        Raises ``OSError``.
        """
        length = durable.append(self.path, b"".join(self.waiting), sync=True)
        self.waiting.clear()
        return length

    def cut(self, length: int) -> None:
        """Drop the lines after ``length`` bytes, which are newer than the resumed checkpoint, and
        those that wait.  Raises ``OSError``.
        """
        self.waiting.clear()
        durable.cut(self.path, length)
