"""The log of a run: one JSON object a line for each report, the source of every curve."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Log"]


@dataclass(frozen=True)
class Log:
    """The file ``log.jsonl`` of a run; it is made when the first line is written."""

    path: Path

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line; it becomes durable with the next checkpoint.  Raises ``OSError``."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def sync(self) -> int:
        """Make the log durable; returns its length in bytes, for the checkpoint to remember."""
        with self.path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def cut(self, length: int) -> None:
        """Drop the lines after ``length`` bytes, which are newer than the resumed checkpoint."""
        with self.path.open("ab") as file:
            file.truncate(min(length, file.tell()))
