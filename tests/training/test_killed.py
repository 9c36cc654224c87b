"""Killed without a word at random moments, training still ends in the same bits."""

import multiprocessing
import random
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from charlm.config import Config
from charlm.storage.run import Run
from charlm.training.launch import launch
from charlm.training.reports import Saved
from tests.training.conftest import train_into
from tests.training.test_resume import assert_same_end

KILLS = 6


def train_and_tell(tables: dict[str, Any], folder: Path, told: Connection) -> None:
    """Train, telling when a save begins and when it is done."""
    torch.set_num_threads(1)
    save = Run.save

    def telling(self: Run, *arguments: Any) -> Path:
        told.send("saving")
        return save(self, *arguments)

    Run.save = telling  # type: ignore[method-assign]
    for report in launch(Config.from_tables(tables), folder):
        if isinstance(report, Saved):
            told.send("saved")


def kill_after(settings: Config, folder: Path, event: str, saves: int, seconds: float) -> None:
    """Train to an event of a save and a moment beyond, then kill."""
    # Processes are forked from one that has loaded torch, instead of loading it each time.
    context = multiprocessing.get_context("forkserver")
    # The first step of an optimizer imports torch._dynamo, which takes seconds.
    context.set_forkserver_preload(["charlm.training.launch", "torch._dynamo", __name__])
    heard, told = context.Pipe(duplex=False)
    process = context.Process(target=train_and_tell, args=(settings.to_tables(), folder, told))
    process.start()
    told.close()
    while saves:
        assert heard.poll(60), "the training is too short"
        saves -= heard.recv() == event
    time.sleep(seconds)
    process.kill()
    process.join(60)
    assert process.exitcode == -9, "the training is too short"


def test_killed_at_random_moments_it_ends_in_the_same_bits(config, tmp_path: Path) -> None:
    settings = config(steps=72, evaluations=24, bptt=7)
    generator = random.Random(5)
    for number in range(KILLS):
        event, longest = (("saving", 0.004), ("saved", 0.02))[number % 2]
        saves, seconds = generator.randint(1, 3), generator.uniform(0, longest)
        kill_after(settings, tmp_path / "killed", event, saves, seconds)
    train_into(settings, tmp_path / "killed")
    train_into(settings, tmp_path / "whole")
    assert_same_end(tmp_path / "whole", tmp_path / "killed")
