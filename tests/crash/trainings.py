"""Small trainings to kill, stop and resume, and how their ends are compared: byte for byte."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch._dynamo  # noqa: F401  (the first optimizer loads it, which takes seconds in each fork)

from charlm.config import Config
from charlm.training.launch import launch
from charlm.training.reports import Report

__all__ = ["SETTINGS", "difference", "settings_of", "train", "write_text"]

WORDS = "the quick brown fox jumps over the lazy dog and the dog sleeps on\n"

SMALL: dict[str, dict[str, Any]] = {
    "model": {"hidden_size": 8, "num_layers": 2, "dropout": 0.2},
    "training": {
        "steps": 60,
        "batch_size": 4,
        "bptt": 7,
        "evaluations": 20,
        "state_reset": 0.2,
        "valid_tokens": 200,
    },
}

SETTINGS: dict[str, dict[str, Any]] = {
    "adamw, dropout": {},
    "accumulated, exponential average": {"accumulate": 3, "average": "ema"},
    "sgd with momentum, plateau": {
        "optimizer": "sgd", "learning_rate": 0.5, "momentum": 0.9, "schedule": "plateau",
    },
    "averaged since validation stalled": {
        "average": "asgd", "nonmono": 1, "optimizer": "sgd", "learning_rate": 20.0,
        "schedule": "constant",
    },
    "random bptt, cosine": {"bptt": 12, "random_bptt": True, "schedule": "cosine"},
}  # fmt: skip
"""Changes to ``SMALL``: a word for what they bring, and the settings of training (or
``section.key``)."""

CLOCK = {"seconds", "tokens_per_second", "time", "log_bytes"}
"""Fields that follow the clock, or the length of its digits."""


def write_text(folder: Path) -> Path:
    """A small text to train on."""
    path = folder / "text.txt"
    path.write_text(WORDS * 40)
    return path


def settings_of(text: Path, **changes: Any) -> Config:
    """Small settings for ``text`` with changes; a name without a dot is one of training's."""
    tables = {section: dict(entries) for section, entries in SMALL.items()}
    tables["data"] = {"sources": [str(text)], "split": [80, 20]}
    for name, value in changes.items():
        section, _, key = name.rpartition(".")
        tables.setdefault(section or "training", {})[key] = value
    if {"minutes", "epochs"} & set(changes):
        del tables["training"]["steps"]
    return Config.from_tables(tables)


def train(config: Config, folder: Path, **options: Any) -> Iterator[Report]:
    """Train into ``folder`` with a cache of its own, yielding the reports."""
    os.environ["CHARLM_CACHE"] = str(folder.with_name("cache"))
    yield from launch(config, folder, **options)  # type: ignore[misc]


def difference(whole: Path, other: Path, *, older: bool = True) -> str | None:
    """What differs between two trained runs but clock times, or None.

    Compared are all file names, the bytes of weights and optimizer, counters, the log and the
    best; without ``older``, of the checkpoints only the newest: a training that goes on after a
    save that failed keeps another one before it.
    """
    newest = [max(folder.glob("checkpoints/*"), default=folder).name for folder in (whole, other)]
    for path in (*names(whole), *names(other)):
        if not older and path.parts[0] == "checkpoints" and path.parts[1] not in newest:
            continue
        if not ((whole / path).exists() and (other / path).exists()):
            return f"{path} is in one of the runs only"
        one, two = (comparable(folder / path) for folder in (whole, other))
        if one != two:
            return f"{path} differs"
    return None


def names(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def comparable(path: Path) -> Any:
    """The content of a file, without what follows the clock."""
    if path.name in ("manifest.json", "run.toml"):
        return None  # of hashes of the others, and of the time when the run was made
    if path.name == "log.jsonl":
        return [without_clock(json.loads(line)) for line in path.read_text().splitlines()]
    if path.name == "state.json":
        return without_clock(json.loads(path.read_bytes()))
    return path.read_bytes()


def without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_clock(inner) for key, inner in value.items() if key not in CLOCK}
    return value
