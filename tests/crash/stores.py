"""A run without a network in it: saved, resumed and checked after a crash in a millisecond or two.

What a start does with the run folder is the training's own code: ``look_for_begun``, ``begin``,
``opened`` and ``Run.newest``.
"""

import copy
import json
import random
import tomllib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import torch

from charlm import durable
from charlm.config import Config, DataConfig, ModelConfig, TrainConfig
from charlm.data.preparation.counting import Counts
from charlm.data.preparation.prepared import Prepared
from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.storage import log
from charlm.storage.checkpoints import list_checkpoints, step_of
from charlm.storage.integrity import WHOLE, is_whole, read_json
from charlm.storage.run import Run
from charlm.training.distributed import World
from charlm.training.launch import opened
from charlm.training.setup.resuming import begin, look_for_begun

__all__ = ["Fact", "Store", "check_start", "repeatable", "start"]

CONFIG = Config(
    data=DataConfig(sources=("a.txt",)),
    model=ModelConfig(hidden_size=4),
    training=TrainConfig(steps=10**6),
).with_defaults()
OTHER = replace(CONFIG, training=replace(CONFIG.training, bptt=9))
TEXT = SimpleNamespace(counts=Counts(tokens=3, chars=2, bytes=2, words=1, documents=1))
PREPARED = cast(
    Prepared,
    SimpleNamespace(
        tokenizer=CharTokenizer(list("ab")), digest="d", train=TEXT, valid=None, test=None
    ),
)
SIZE = 40
"""Numbers in each tensor that a store saves: all of them are the mark of the save."""


@dataclass(frozen=True)
class Fact:
    """A save as it began and, once ``done``, ended: its mark, and the log that belongs to it."""

    step: int
    mark: int
    best: int | None
    log: bytes
    done: bool = False


def remembered(function: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
    """A pure function that computes each result once; a fresh copy of it is returned."""
    results: dict[Any, Any] = {}

    def call(*arguments: Any, **named: Any) -> Any:
        about = key(*arguments, **named)
        if about not in results:
            results[about] = function(*arguments, **named)
        return copy.deepcopy(results[about])

    return call


@contextmanager
def repeatable() -> Iterator[None]:
    """Let temporary names and the times of the log depend on nothing but what was done before.

    Settings are parsed once for each content of ``run.toml``, which makes a start four times as
    fast.
    """
    numbers = count()
    clock = SimpleNamespace(now=lambda _: log_time)
    log_time = SimpleNamespace(isoformat=lambda **_: "2000-01-01T00:00:00.000+00:00")
    made = {"date": "2000-01-01", "machine": "none"}
    with (
        patch.object(durable.secrets, "token_hex", lambda _: f"{next(numbers):08x}"),
        patch.object(log, "datetime", clock),
        patch("charlm.training.setup.resuming.made_here", lambda: made),
        patch.object(tomllib, "loads", remembered(tomllib.loads, key=str)),
        patch.object(Config, "from_tables", remembered(Config.from_tables, key=about_tables)),
    ):
        yield


def about_tables(tables: dict[str, Any], **named: Any) -> str:
    """All that settings are made from."""
    return repr((tables, named))


def start(folder: Path, settings: Config = CONFIG) -> tuple[Run, int | None, tuple[str, ...]]:
    """Do what training does first; returns the run, the mark that it goes on from, and the notes.

    Raises what training would.
    """
    WHOLE.clear()  # a new process knows nothing about the files
    begun, config = look_for_begun(folder, settings)
    if not begun:
        begin(folder, config, PREPARED)
    with opened(folder, config, PREPARED, World()) as run:
        found, notes = run.newest()
        run.log.cut(found.state["counters"]["log_bytes"] if found else 0)
    return run, None if found is None else mark_of(found.model, found.train, found.state), notes


def mark_of(model: dict[str, Any], train: dict[str, Any], state: dict[str, Any]) -> int:
    """The mark that all parts of a checkpoint bear."""
    marks = {*model["weight"].tolist(), *train["moment"].tolist(), float(state["mark"])}
    assert len(marks) == 1, f"a checkpoint of parts of several: {marks}"
    return int(marks.pop())


@dataclass
class Store:
    """A run that is saved again and again, and the facts about it so far."""

    folder: Path
    generator: random.Random
    tell: Callable[[Fact], None]
    step: int = 0
    mark: int = 0
    best: int | None = None
    known: dict[int, Fact] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        return Run(self.folder, CONFIG, {})

    def write_log(self) -> None:
        for _ in range(self.generator.randint(1, 3)):
            self.run.log.append({"type": "stepped", "step": self.step, "mark": self.mark})

    def save(self) -> None:
        """Save a later step, sometimes the best so far."""
        self.step += self.generator.randint(1, 50)
        if self.generator.random() < 0.4:
            self.best = self.step
        self.write_log()
        self.keep()

    def save_again(self) -> None:
        """Save the last step once more, with a validation that makes it the best."""
        if self.step:
            self.best = self.step
            self.keep()

    def keep(self) -> None:
        self.mark += 1
        length = self.run.log.sync()
        content = self.run.log.path.read_bytes()
        assert length == len(content)
        self.known[self.mark] = Fact(self.step, self.mark, self.best, content)
        self.tell(self.known[self.mark])
        tensor = torch.full((SIZE,), float(self.mark))
        self.run.save(
            self.step,
            {"weight": tensor},
            {"moment": tensor},
            {"mark": self.mark, "counters": {"log_bytes": length}},
            None if self.best is None else {"step": self.best, "valid_nll": 1.0 / self.mark},
        )
        self.tell(Fact(self.step, self.mark, self.best, content, done=True))

    def restart(self) -> None:
        """A new process begins at the newest checkpoint."""
        _, mark, _ = start(self.folder)
        fact = self.known.get(mark or 0)
        self.step, self.best = (fact.step, fact.best) if fact else (0, None)

    def act(self, actions: int) -> None:
        """Do as many things as a training does, in some order."""
        if not self.known and self.generator.random() < 0.3:
            start(self.folder, OTHER)  # a run in which nothing is learned is replaced
        self.restart()
        for _ in range(actions):
            chosen = self.generator.choices(
                (self.save, self.save_again, self.write_log, self.restart), (6, 2, 2, 1)
            )[0]
            chosen()


def check_start(folder: Path, facts: list[Fact]) -> None:
    """Start after a crash, and raise ``AssertionError`` unless nothing that was saved is lost."""
    done = [number for number, fact in enumerate(facts) if fact.done]
    last = done[-1] if done else None
    allowed = {fact.mark: fact for fact in facts[last or 0 :]}
    if folder.exists():
        read_before_start(folder, allowed, last is not None)
    run, mark, notes = start(folder)
    if mark is None:
        assert last is None, "a checkpoint that was on disk is not found"
        assert run.log.path.read_bytes() == b"", "a log without a checkpoint"
    else:
        assert mark in allowed, f"the checkpoint of save {mark} is used, not of {list(allowed)}"
        assert run.log.path.read_bytes() == allowed[mark].log, "the log is another one"
        check_best(run, allowed[mark].best)
    assert not notes, f"a damaged checkpoint was left: {notes}"
    left = [path.name for path in folder.parent.rglob(f"*{durable.TEMPORARY_MARK}*")]
    assert not left, f"left behind: {left}"
    kept = list_checkpoints(run.checkpoints)
    assert all(map(is_whole, kept)), "a damaged checkpoint was left"
    saved = {fact.step for fact in facts if fact.done}
    assert len(set(map(step_of, kept))) >= min(2, len(saved)), "too few checkpoints are kept"
    assert start(folder)[1] == mark, "the second start finds another checkpoint"


def read_before_start(folder: Path, allowed: dict[int, Fact], must: bool) -> None:
    """What only reads the run, like ``charlm generate``, finds a checkpoint without mending."""
    if not must:
        return
    WHOLE.clear()
    run = Run(folder, CONFIG, {})
    found, _ = run.newest()
    assert found is not None, "no checkpoint is found by who only reads"
    assert mark_of(found.model, found.train, found.state) in allowed
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.checkpoint()


def check_best(run: Run, best: int | None) -> None:
    """``best.json`` says what the newest checkpoint knows."""
    path = run.folder / "best.json"
    said = read_json(path)["step"] if path.exists() else None
    assert said == best, f"best.json says {said}, not {best}"
    if best is not None:
        assert run.checkpoint().step == best
        assert json.loads(path.read_text())["step"] == best
