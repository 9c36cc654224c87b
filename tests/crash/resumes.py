"""A training resumed from each of its steps takes the very steps that the undisturbed one took.

One pass saves a checkpoint after every step.  Then a training is resumed from each of them, takes a
few steps, saves, and what it saved is compared byte for byte with what the pass had saved there.
"""

import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch.distributed

from charlm.config import Config, DataConfig, ModelConfig
from charlm.storage.checkpoints import list_checkpoints
from charlm.storage.run import open_run
from charlm.training import loop
from charlm.training.budget.pace import Pace
from charlm.training.distributed import World
from charlm.training.learner import Learner
from charlm.training.reports import Report, Stepped
from charlm.training.session import Session
from tests.crash.counts import Counts
from tests.crash.crashes import in_memory
from tests.crash.trainings import comparable, settings_of, train, write_text

__all__ = ["CONFIGURATIONS", "run_ngram_resumes", "run_resumes", "run_resumes_of_two"]

AHEAD = 3
"""Steps that a resumed training takes before it is compared: what was lost shows in the next."""

TICK = 2.0**-6
"""Seconds that a step takes by the clock of these trainings; sums of it are exact."""

STEPS = 200

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "adamw, dropout": {},
    "random bptt, accumulated, averaged since validation stalled": {
        "random_bptt": True, "bptt": 12, "accumulate": 3, "average": "asgd", "nonmono": 1,
        "optimizer": "sgd", "learning_rate": 20.0, "schedule": "constant",
    },
    "cosine": {"schedule": "cosine"},
    "plateau, adamw": {"schedule": "plateau", "learning_rate": 0.1},
    "constant": {"schedule": "constant"},
    "sgd": {"optimizer": "sgd", "learning_rate": 0.5},
    "sgd with momentum, plateau": {
        "optimizer": "sgd", "learning_rate": 0.5, "momentum": 0.9, "schedule": "plateau",
    },
    "sgd with momentum, weight decay": {
        "optimizer": "sgd", "learning_rate": 0.5, "momentum": 0.9, "weight_decay": 1e-4,
    },
    "exponential average": {"average": "ema"},
    "exponential average, accumulated": {"average": "ema", "accumulate": 4},
    "averaged since validation stalled, adamw": {"average": "asgd", "nonmono": 2},
    "accumulated": {"accumulate": 3},
    "random bptt": {"random_bptt": True, "bptt": 12},
    "minutes": {"minutes": STEPS * TICK / 60},
    "minutes, cosine, random bptt": {
        "minutes": STEPS * TICK / 60, "schedule": "cosine", "random_bptt": True, "bptt": 12,
    },
    "epochs": {"epochs": 2.7},
    "no reset of the state, no clipping": {"state_reset": 0.0, "clip": 0.0},
    "penalties": {"activation_penalty": 2.0, "temporal_penalty": 1.0},
    "dropout of all kinds": {
        "model.weight_drop": 0.3, "model.embedding_dropout": 0.1, "model.input_dropout": 0.2,
        "model.output_dropout": 0.3,
    },
    "gru": {"model.cell": "gru"},
    "mogrifier": {"model.mogrifier_rounds": 3},
    "mixture of softmaxes": {"model.softmaxes": 3, "average": "ema"},
    "layer normalisation, residual": {
        "model.cell": "layer_norm_lstm", "model.connections": "residual",
    },
    "patience": {"patience": 3, "learning_rate": 0.5},
}  # fmt: skip
"""What ``run_resumes`` goes through; the suite takes the first two."""


@contextmanager
def steady_clock() -> Iterator[None]:
    """Let time pass with the steps: a training by minutes can then be compared with another."""
    now, learn = [0.0], Learner.learn

    def ticking(self: Learner, step: int, rate: float) -> Any:
        now[0] += TICK
        return learn(self, step, rate)

    with (
        patch.object(Learner, "learn", ticking),
        patch("charlm.training.session.Pace", partial(Pace, clock=lambda: now[0])),
    ):
        yield


def run_resumes(name: str, folder: Path, world: World | None = None, every: int = 1) -> Counts:
    """Train with the configuration ``name``, and resume from every ``every``-th step of it."""
    world = world or World()
    changes = {"steps": STEPS, "evaluations": 20} | CONFIGURATIONS[name]
    config = settings_of(folder / "text.txt", **changes).with_defaults()
    if world.first:
        write_text(folder)
    world.wait()
    counts, whole = Counts(), folder / "whole"
    with steady_clock():
        last = keep_every_step(config, whole, folder / "kept", world)
        for step in range(1, last + 1, every):
            again = folder / f"again-{step}"
            if world.first:
                prepare_run(whole, folder / "kept", step, again)
            world.wait()
            reached = resume(config, again, world, last)
            counts.trials += 1
            if world.first:
                found = differs(folder / "kept" / f"step-{reached:08d}", again)
                if found or reached != min(step + AHEAD, last):
                    counts.wrong.append(f"{name}, step {step} to {reached}: {found}")
                shutil.rmtree(again)
            world.wait()
    return counts


def keep_every_step(config: Config, whole: Path, kept: Path, world: World) -> int:
    """Train to the end, and keep the checkpoint of each step; returns the last step."""
    sessions: list[Session] = []
    if world.first:
        kept.mkdir()

    def noted(*arguments: Any, **named: Any) -> Session:
        sessions.append(Session(*arguments, **named))
        return sessions[-1]

    last = 0
    with patch.object(loop, "Session", noted):
        for report in train(config, whole, world=world):
            if isinstance(report, Stepped) or is_done(report):
                last = sessions[-1].counters.step
                sessions[-1].save()
                if world.first:
                    newest = list_checkpoints(whole / "checkpoints")[-1]
                    shutil.copytree(newest, kept / newest.name, dirs_exist_ok=True)
                    shutil.copy(whole / "log.jsonl", kept / newest.name)
    return last


def is_done(report: Report) -> bool:
    return type(report).__name__ == "Done"


def prepare_run(whole: Path, kept: Path, step: int, again: Path) -> None:
    """A run whose newest checkpoint is the one of ``step``, and whose log is further."""
    again.mkdir()
    for name in ("run.toml", "log.jsonl"):
        shutil.copy(whole / name, again / name)
    shutil.copytree(whole / "tokenizer", again / "tokenizer")
    name, without_log = f"step-{step:08d}", shutil.ignore_patterns("log.jsonl")
    shutil.copytree(kept / name, again / "checkpoints" / name, ignore=without_log)


def resume(config: Config, folder: Path, world: World, last: int) -> int:
    """Resume the run in ``folder`` for a few steps, or to the end of training if ``last`` is among
    them; returns the step that was reached.
    """
    taken, before = 0, open_run(folder).newest()[0]
    assert before is not None
    reached = before.step

    def stop() -> str | None:
        return "far enough" if taken == AHEAD and reached < last else None

    for report in train(config, folder, world=world, stop=stop):
        if isinstance(report, Stepped):
            taken, reached = taken + 1, report.step
    return reached


def differs(kept: Path, again: Path) -> str | None:
    """Which part of the checkpoint or the log is not as in the undisturbed training, or None."""
    found = again / "checkpoints" / kept.name
    for name in ("model.safetensors", "train.safetensors", "state.json"):
        if comparable(kept / name) != comparable(found / name):
            return name
    log, expected = (comparable(folder / "log.jsonl") for folder in (again, kept))
    return "log.jsonl" if log != expected else None


def run_resumes_of_two(name: str, folder: Path, every: int) -> Counts:
    """``run_resumes`` in two processes that share the lanes.

    Raises ``ChildProcessError`` if one of them fails.
    """
    write_text(folder)
    children = [forked_rank(name, folder, rank, every) for rank in range(2)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if codes != [0, 0]:
        raise ChildProcessError(f"the two processes ended with {codes}")
    lines = (folder / "wrong.txt").read_text().splitlines()
    return Counts(int(lines[0]), wrong=lines[1:])


def forked_rank(name: str, folder: Path, rank: int, every: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        meeting = f"file://{folder / 'meeting'}"
        torch.distributed.init_process_group("gloo", meeting, rank=rank, world_size=2)
        counts = run_resumes(name, folder, World(rank, 2), every)
        if rank == 0:
            (folder / "wrong.txt").write_text("\n".join([str(counts.trials), *counts.wrong]))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def run_ngram_resumes(folder: Path) -> Counts:
    """Stop a counting of n-grams after each order, take it up again, and compare the models."""
    text, counts = write_text(folder), Counts()
    data = DataConfig(sources=(str(text),), split=(80, 20))
    config = Config(data=data, model=ModelConfig(kind="ngram")).with_defaults()
    for _ in train(config, folder / "whole"):
        pass
    (kept,) = list_checkpoints(folder / "whole" / "checkpoints")
    shutil.copy(folder / "whole" / "log.jsonl", kept)
    for asks in range(8):
        again = folder / f"again-{asks}"
        for stop in (StopAfter(asks), StopAfter(10**6)):
            for _ in train(config, again, stop=stop):
                pass
        counts.trials += 1
        found = differs(kept, again)
        counts.wrong += [f"n-grams, {asks}: {found}"] if found else []
    return counts


@dataclass
class StopAfter:
    """A stop flag that goes up when it has been asked a number of times."""

    asks: int

    def __call__(self) -> str | None:
        self.asks -= 1
        return "test" if self.asks < 0 else None


def run_configuration(seed: int, trials: int) -> Counts:
    """Resume from every step with the configuration whose number is the seed, two processes and
    n-grams among them; ``trials`` is the number of steps, all of them at ``STEPS``.
    """
    every, names = max(1, STEPS // trials), list(CONFIGURATIONS)
    number = seed % (len(names) + 3)
    with in_memory() as folder:
        if number < len(names):
            return run_resumes(names[number], folder, every=every)
        if number == len(names):
            return run_ngram_resumes(folder)
        shared = ("adamw, dropout", "exponential average, accumulated")
        return run_resumes_of_two(shared[number - len(names) - 1], folder, every)
