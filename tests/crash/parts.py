"""The table of all parts of the laboratory; ``scripts/drill`` runs them by the hour.

A part is a function of a seed and a number of trials that returns ``Counts``; another seed tries
other things.  ``python -m tests.crash.parts NAME SEED TRIALS`` runs one and prints its counts.
"""

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from tests.crash.counts import Counts

__all__ = ["PARTS", "Part"]


@dataclass(frozen=True)
class Part:
    """``run`` names the function; ``chunk`` trials at a time make the ``goal`` of a drill.

    ``what`` says in the report what one trial is.  A ``finite`` part has nothing new to try beyond
    its goal.
    """

    run: str
    what: str
    chunk: int
    goal: int
    finite: bool = False

    def __call__(self, seed: int, trials: int) -> Counts:
        module, name = self.run.split(":")
        function = getattr(importlib.import_module(module), name)
        return cast(Callable[[int, int], Counts], function)(seed, trials)


PARTS = {
    "crashes": Part(
        "tests.crash.crashes:run_crashes", "states of a run after a crash", 2_000, 50_000
    ),
    "files": Part(
        "tests.crash.files:run_file_crashes", "states of other files after a crash", 1_000, 10_000
    ),
    "kills": Part("tests.crash.kills:run_kills", "kills of a training", 100, 2_000),
    "resumes": Part(
        "tests.crash.resumes:run_configuration", "steps resumed from", 200, 5_400, True
    ),
    "fuzzing": Part("tests.hostile.drill:run_fuzzing", "wrong files", 20_000, 1_000_000),
    "flips": Part("tests.crash.flips:run_flips", "damaged files of a checkpoint", 20_000, 100_000),
    "failing calls": Part(
        "tests.crash.failures:run_failing_calls", "failing file operations", 1_000, 20_000
    ),
    "limits": Part(
        "tests.crash.failures:run_limits", "trainings with a limit of file size", 50, 500
    ),
    "traced": Part("tests.crash.failures:run_traced", "system calls failing by strace", 50, 1_000),
    "small disks": Part("tests.crash.failures:run_small_disks", "full file systems", 50, 500),
}


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    print(json.dumps(vars(PARTS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])))))
