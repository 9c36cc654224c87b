"""A process that is forked after a model was loaded computes what its parent does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import charlm
from charlm.training.reports import Done

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")

FORKED = """
import os, sys
import torch
torch.set_num_threads(2)
import charlm
model = charlm.load(sys.argv[1])
text = "the quick brown fox " * 400
expected = model.score(text).nll, model.generate("the", length=40, seed=1)
child = os.fork()
if child == 0:
    found = model.score(text).nll, model.generate("the", length=40, seed=1)
    close = abs(found[0] - expected[0]) < 1e-6 * expected[0]
    os._exit(0 if close and found[1] == expected[1] else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.timeout(120)
def test_a_forked_process_does_not_wait_for_threads_that_it_lacks(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 60)
    *_, done = charlm.train(text, tmp_path / "run", steps=3, hidden_size=64, batch_size=2, bptt=8)
    assert isinstance(done, Done)
    finished = subprocess.run(
        [sys.executable, "-c", FORKED, str(tmp_path / "run")],
        env=os.environ | {"OMP_NUM_THREADS": "2"}, timeout=60, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
