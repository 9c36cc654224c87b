"""Two processes under torchrun train as one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from charlm.storage.run import open_run
from charlm.training.distributed import World
from tests.training.conftest import WORDS

ARGUMENTS = [
    "--split", "80,20", "--hidden-size", "8", "--steps", "12", "--batch-size", "5", "--bptt", "7",
    "--dropout", "0", "--set", "training.evaluations=3", "--set", "training.state_reset=0.2",
    "--set", "training.accumulate=2", "--learning-rate", "0.01", "--set", "training.average=ema",
]  # fmt: skip


def run(command: list[str], cache: Path) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CHARLM_CACHE": str(cache)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(280)
def test_two_processes_end_where_one_does(tmp_path: Path, own_cache: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(WORDS * 40)
    arguments = ["train", str(text), *ARGUMENTS, "--json", "--out"]
    run([sys.executable, "-m", "charlm", *arguments, str(tmp_path / "one")], own_cache)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    local = ["--master-addr=127.0.0.1", "--rdzv-endpoint=127.0.0.1:0", "--rdzv-backend=c10d"]
    command = [*torchrun, *local, "-m", "charlm", *arguments, str(tmp_path / "two")]
    out = run(command, own_cache)
    assert out.count('"type": "done"') == 1
    (one, _), (two, _) = (open_run(tmp_path / name).newest() for name in ("one", "two"))
    assert one is not None
    assert two is not None
    for tensors, others in ((one.model, two.model), (one.train, two.train)):
        assert tensors.keys() == others.keys()
        for name in tensors:
            torch.testing.assert_close(tensors[name], others[name], atol=2e-5, rtol=1e-3)


@pytest.mark.parametrize(("lanes", "size"), [(5, 2), (4, 4), (32, 3), (7, 1)])
def test_lanes_are_shared_out_completely_and_evenly(lanes: int, size: int) -> None:
    shares = [World(rank, size).share(lanes) for rank in range(size)]
    assert [lane for share in shares for lane in range(lanes)[share]] == list(range(lanes))
    lengths = [share.stop - share.start for share in shares]
    assert max(lengths) - min(lengths) <= 1
