"""Killed without a word at random moments, training still ends in the same bits."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from tests.training.conftest import train_into
from tests.training.test_resume import assert_same_end

SCRIPT = """
import sys
from pathlib import Path
import torch
from charlm.config import Config
from charlm.training.launch import launch
import tomllib
torch.set_num_threads(1)
config = Config.from_tables(tomllib.loads(Path(sys.argv[1]).read_text()))
for report in launch(config, Path(sys.argv[2])):
    if type(report).__name__ == "Saved":
        print("saved", flush=True)
print("done", flush=True)
"""
KILLS = 6


def go_on(settings: Path, folder: Path, saves: int, seconds: float) -> None:
    """Train until a number of checkpoints were saved and a moment more, then kill."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(settings), str(folder)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    for _ in range(saves):
        assert process.stdout.readline() == b"saved\n", "the training is too short"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.stdout.close()
    assert process.wait(timeout=60) == -signal.SIGKILL, "the training is too short"


@pytest.mark.timeout(250)
def test_killed_at_random_moments_it_ends_in_the_same_bits(config, tmp_path: Path) -> None:
    settings = config(steps=2500, evaluations=500, bptt=7)
    (tmp_path / "settings.toml").write_text(tomli_w.dumps(settings.to_tables()))
    generator = random.Random(5)
    for _ in range(KILLS):
        saves, seconds = generator.randint(1, 6), generator.uniform(0, 0.02)
        go_on(tmp_path / "settings.toml", tmp_path / "killed", saves, seconds)
    train_into(settings, tmp_path / "killed")
    train_into(settings, tmp_path / "whole")
    assert_same_end(tmp_path / "whole", tmp_path / "killed")
