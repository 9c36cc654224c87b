"""The log of a run: one JSON object a line for each report, the source of every curve."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from charlm import durable

__all__ = ["Log"]


@dataclass(frozen=True)
class Log:
    """The file ``log.jsonl`` of a run; it is made when the first line is written."""

    path: Path

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line, with the time of day (UTC).  Raises ``OSError``.

        It becomes durable with the next checkpoint.
        """
        line = {**record, "time": datetime.now(UTC).isoformat(timespec="milliseconds")}
        durable.append(self.path, (json.dumps(line) + "\n").encode())

    def sync(self) -> int:
        """Make the log durable; returns its length in bytes, for the checkpoint to remember."""
        return durable.append(self.path, sync=True)

    def cut(self, length: int) -> None:
        """Drop the lines after ``length`` bytes, which are newer than the resumed checkpoint."""
        durable.cut(self.path, length)
