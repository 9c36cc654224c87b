"""A training that is killed with SIGKILL again and again must end as if nobody had touched it.

One process loads torch once and forks each training from there.  Four in ten kills are at random
moments of the training, the others at a file operation inside a save.  A kill counts as inside a
save by what the killed process itself had noted in shared memory.
"""

import mmap
import os
import random
import signal
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from charlm.config import Config
from charlm.errors import CharlmError
from charlm.storage.run import Run
from charlm.training.reports import Stepped
from tests.crash.counts import Counts
from tests.crash.crashes import in_memory
from tests.crash.trainings import SETTINGS, difference, settings_of, train, write_text
from tests.crash.watch import watching

__all__ = ["INSIDE", "run_kills"]

FAILED = 71
"""Exit code of a training that ended with an error that is declared."""

INSIDE = "inside a save"
KILLS_A_CHAIN = 9
OPERATIONS = 100
"""File operations inside saves, about three of them, among which one is drawn to be killed at."""

STARTING = 20_000_000
"""Nanoseconds: about a third of the time until a resumed training takes its first step."""

PATIENCE = 300.0
"""Seconds without an end of a training after which it is taken for hanging."""


@dataclass(frozen=True)
class Plan:
    """When to kill: before the file operation ``operation`` of those inside saves, or ``share`` of
    a step after step ``step``, all counted from the start of the process.  Without any of them the
    training goes on to its end.
    """

    operation: int = 0
    step: int = 0
    share: float = 0.0


class Progress:
    """What a training process tells about itself, readable after its death."""

    FIELDS = ("steps", "inside", "operations", "nanoseconds")

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, 8 * len(self.FIELDS))

    def __getitem__(self, name: str) -> int:
        return int(struct.unpack_from("q", self.memory, 8 * self.FIELDS.index(name))[0])

    def __setitem__(self, name: str, value: int) -> None:
        struct.pack_into("q", self.memory, 8 * self.FIELDS.index(name), value)


def run_kills(seed: int, kills: int, sabotage: Callable[[], None] = lambda: None) -> Counts:
    """Kill trainings ``kills`` times, resume each to its end and compare it with an undisturbed
    one.  ``sabotage`` breaks something in the training processes that are killed.
    """
    counts, generator = Counts(), random.Random(seed)
    with in_memory() as folder:
        text, chain = write_text(folder), 0
        while counts.trials < kills:
            name = list(SETTINGS)[(seed + chain) % len(SETTINGS)]
            config, whole = settings_of(text, **SETTINGS[name]), folder / f"whole-{name}"
            if not whole.exists():
                assert follow(forked(config, whole, Plan(), Progress()), Plan(), Progress()) == 0
            run_chain(counts, config, whole, folder / f"killed-{chain}", generator, kills, sabotage)
            chain += 1
    return counts


def run_chain(
    counts: Counts,
    config: Config,
    whole: Path,
    folder: Path,
    generator: random.Random,
    kills: int,
    sabotage: Callable[[], None],
) -> None:
    """Kill one training several times, let it end, and compare."""
    for _ in range(min(KILLS_A_CHAIN, kills - counts.trials)):
        plan, progress = make_plan(generator), Progress()
        progress["nanoseconds"] = STARTING  # until the first step is done
        code = follow(forked(config, folder, plan, progress, sabotage), plan, progress)
        if code != -signal.SIGKILL:
            if code:
                counts.wrong.append(f"{whole.name}: a resumed training ended with {code}")
            break
        counts.trials += 1
        counts.hits[INSIDE] += progress["inside"]
    plan = Plan()
    code = follow(forked(config, folder, plan, Progress(), sabotage), plan, Progress())
    counts.hits["trainings resumed to their end"] += 1
    found = difference(whole, folder) if code == 0 else f"the last training ended with {code}"
    if found:
        counts.wrong.append(f"{whole.name}, {folder.name}: {found}")


def make_plan(generator: random.Random) -> Plan:
    """When to kill next: early in what is left, so that a chain has many kills."""
    if generator.random() < 0.6:
        return Plan(operation=generator.randint(1, OPERATIONS))
    return Plan(step=generator.randint(0, 9), share=generator.random() * 3)


def forked(
    config: Config,
    folder: Path,
    plan: Plan,
    progress: Progress,
    sabotage: Callable[[], None] = lambda: None,
) -> int:
    """Start a training in a process of its own; returns its id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        sabotage()
        train_and_tell(config, folder, plan, progress)
        code = 0
    except (CharlmError, OSError) as error:
        code = FAILED
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def train_and_tell(config: Config, folder: Path, plan: Plan, progress: Progress) -> None:
    """Train, noting steps, saves and the file operations in them, and dying where planned."""
    save = Run.save

    def told(self: Run, *arguments: Any, **named: Any) -> Path:
        progress["inside"] = 1
        try:
            return save(self, *arguments, **named)
        finally:
            progress["inside"] = 0

    def before(kind: str, path: str) -> None:
        if progress["inside"]:
            progress["operations"] += 1
            if progress["operations"] == plan.operation:
                os.kill(os.getpid(), signal.SIGKILL)

    Run.save = told  # type: ignore[method-assign]
    with watching(folder.parent, before=before):
        before_step = time.monotonic_ns()
        for report in train(config, folder):
            if isinstance(report, Stepped):
                progress["steps"] += 1
                progress["nanoseconds"] = time.monotonic_ns() - before_step
            before_step = time.monotonic_ns()


def follow(child: int, plan: Plan, progress: Progress) -> int:
    """Wait for a training, killing it where ``plan`` says so; returns its exit code."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if plan.share and progress["steps"] >= plan.step:
            # As long as a step takes here and now: nothing depends on how busy the machine is.
            time.sleep(plan.share * progress["nanoseconds"] / 1e9)
            break
        time.sleep(0.0003)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def forget_optimizer() -> None:
    """A null control: resuming without the moments of the optimizer."""
    patch("charlm.training.learner.restore_optimizer").start()
