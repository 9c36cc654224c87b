"""Killed without a word at random moments, training still ends in the same bits."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tomli_w

from charlm.storage.checkpoints import list_checkpoints
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
print("ready", flush=True)
for report in launch(config, Path(sys.argv[2])):
    pass
print("done", flush=True)
"""
KILLS = 6


def go_on(settings: Path, folder: Path, seconds: float) -> bool:
    """Train for a moment, then kill; whether training came to its end before."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(settings), str(folder)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read()
    process.stdout.close()
    process.wait(timeout=60)
    return rest == b"done\n"


@pytest.mark.timeout(250)
def test_killed_at_random_moments_it_ends_in_the_same_bits(config, tmp_path: Path) -> None:
    settings = config(steps=2500, evaluations=500, bptt=7)
    (tmp_path / "settings.toml").write_text(tomli_w.dumps(settings.to_tables()))
    generator = random.Random(5)
    kills, seen = 0, set()
    while kills < KILLS:
        finished = go_on(tmp_path / "settings.toml", tmp_path / "killed", generator.uniform(0.2, 1))
        assert not finished, "the training is too short for this machine"
        kills += 1
        seen.update(p.name for p in list_checkpoints(tmp_path / "killed" / "checkpoints")[-1:])
    assert len(seen) > 2, "the kills came before there was anything to lose"
    train_into(settings, tmp_path / "killed")
    train_into(settings, tmp_path / "whole")
    assert_same_end(tmp_path / "whole", tmp_path / "killed")
