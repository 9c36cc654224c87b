"""How a training went: its curves, read from the log of a run."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from charlm.untrusted import parse_json

__all__ = ["TrainingCurve", "is_number", "read_curves"]

LONGEST = 1 << 20
"""Characters of a line of a log at most; a report has some hundred."""

LARGEST = 1e300
"""Numbers of a file that are larger are no counts and no figures."""

CURVES = {
    "loss": ("loss", "nats per token"),
    "valid_nll": ("validation", "nats per token"),
    "learning_rate": ("learning rate", ""),
    "gradient_norm": ("gradient norm", ""),
    "tokens_per_second": ("speed", "tokens per second"),
}
"""The entries of the log that make curves: how each is called, and its unit."""


@dataclass(frozen=True)
class TrainingCurve:
    """One entry of a log over the steps of a training.

    ``key`` is the name of the entry in the log, ``name`` and ``unit`` say what it is.  ``steps``,
    ``values`` and ``times`` (seconds since 1970, 0 where unknown) have the same length.
    """

    key: str
    name: str
    unit: str
    steps: tuple[int, ...]
    values: tuple[float, ...]
    times: tuple[float, ...]

    def shortened(self, most: int) -> "TrainingCurve":
        """At most ``most`` points: the mean of neighbours, at the last of their steps."""
        if len(self.steps) <= most:
            return self
        ends = [len(self.steps) * (number + 1) // most for number in range(most)]
        spans = list(zip([0, *ends], ends, strict=False))
        return TrainingCurve(
            self.key,
            self.name,
            self.unit,
            tuple(self.steps[end - 1] for end in ends),
            tuple(sum(self.values[begin:end]) / (end - begin) for begin, end in spans),
            tuple(self.times[end - 1] for end in ends),
        )


def read_curves(log: Path) -> tuple[TrainingCurve, ...]:
    """The curves of a run's ``log.jsonl``, those that have a point.

    Lines that are not whole, as after a crash, and numbers that are not finite are left out.
    """
    points: dict[str, list[tuple[Any, ...]]] = {key: [] for key in CURVES}
    for record in records(log):
        step, time = record.get("step"), seconds_of(record.get("time"))
        for key in CURVES.keys() & record.keys():
            value = record[key]
            if is_number(step) and is_number(value):
                points[key].append((step, float(value), time))
    return tuple(
        TrainingCurve(key, *CURVES[key], *map(tuple, zip(*found, strict=True)))
        for key, found in points.items()
        if found
    )


def records(log: Path) -> Iterator[dict[str, Any]]:
    """The objects of a log; none where there is no log yet."""
    if not log.is_file():
        return
    with log.open(encoding="utf-8", errors="replace") as file:
        while line := file.readline(LONGEST):
            try:
                record = parse_json(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                yield record


def is_number(value: object) -> bool:
    """Whether an entry of a file, which anybody may have written, is a number, and finite."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def seconds_of(time: object) -> float:
    """Seconds since 1970 of a time of day in ISO format; 0 for anything else."""
    try:
        return datetime.fromisoformat(str(time)).timestamp()
    except ValueError:
        return 0.0
