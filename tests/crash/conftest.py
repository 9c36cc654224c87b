"""What the tests of the laboratory share: one thread, and their figures in the summary."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.crash.counts import Counts

torch.set_num_threads(1)

Figure = Callable[[str], None]
Apart = Callable[..., Counts]


@pytest.fixture
def apart() -> Apart:
    """Run a function of the laboratory in a process that is fresh, so that it can be forked."""

    def run(module: str, call: str, seconds: float = 880) -> Counts:
        code = (
            "import json, torch; torch.set_num_threads(1); "
            f"from tests.crash import {module}; print(json.dumps(vars({module}.{call})))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, timeout=seconds, check=False,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        counts = json.loads(done.stdout.splitlines()[-1])
        return Counts(counts["trials"], Counter(counts["hits"]), counts["wrong"])

    return run
