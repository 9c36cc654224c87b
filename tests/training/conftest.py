"""A small text, prepared, and runs on it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from charlm.config import Config, merge
from charlm.training.launch import launch
from charlm.training.reports import Done, Note, Report

torch.set_num_threads(1)

SMALL = {
    "data": {"split": [80, 20]},
    "model": {"hidden_size": 8, "num_layers": 2, "dropout": 0.2},
    "training": {"steps": 30, "batch_size": 4, "bptt": 7, "evaluations": 3, "state_reset": 0.2},
}
WORDS = "the quick brown fox jumps over the lazy dog and the dog sleeps on\n"

Train = Callable[..., list[Report]]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(WORDS * 40)
    return path


@pytest.fixture
def config(text: Path) -> Callable[..., Config]:
    """Small settings, with changes."""

    def make(**training: object) -> Config:
        sections = {"data": {"sources": [str(text)]}, "training": training}
        table = merge(SMALL, sections)
        if {"minutes", "epochs"} & set(training):
            table["training"].pop("steps")
        return Config.from_tables(table)

    return make


def follow(reports: Iterator[object]) -> list[object]:
    """All reports of a training."""
    return list(reports)


def last(records: list[object]) -> Done:
    """The report that ends a training."""
    assert isinstance(records[-1], Done)
    return records[-1]


def notes(reports: list[object]) -> list[str]:
    """The texts of the notes among reports."""
    return [report.text for report in reports if isinstance(report, Note)]


def train_into(config: Config, folder: Path, **options: object) -> list[object]:
    """Train to the end, or to where ``stop`` says."""
    return follow(launch(config, folder, **options))  # type: ignore[arg-type]


class StopAt:
    """A stop flag that goes up once a number of steps were taken."""

    def __init__(self, asks: int) -> None:
        self.asks = asks

    def __call__(self) -> str | None:
        self.asks -= 1
        return "test" if self.asks < 0 else None
