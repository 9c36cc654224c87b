"""The barrier at which the threads of the native path meet, under stress."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from charlm.model.native import build

SECONDS = 0.4
"""How long each case runs; longer than its last job only if the machine is busy."""


class Counts(NamedTuple):
    """What the program counts: see ``barrier.c``."""

    jobs: int
    rounds: int
    wrong: int
    missing: int
    shared: int


def compiled_barrier(folder: Path, *flags: str) -> Path:
    """``barrier.c`` as a program."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: the native path is not tested")
    program = folder / "barrier"
    include = f"-I{Path(build.__file__).parent}"
    source = Path(__file__).with_name("barrier.c")
    command = ["cc", "-O2", "-std=gnu11", "-pthread", include, *flags, "-o", program, source]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return program


def stress(program: Path, threads: int, patience: int, together: bool) -> Counts:
    """Run the program; a wake-up that is missed ends in the timeout."""
    command = [program, str(threads), str(patience), str(int(together)), str(SECONDS)]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)
    return Counts(*map(int, done.stdout.split()))


@pytest.fixture(scope="module")
def barrier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled_barrier(tmp_path_factory.mktemp("barrier"))


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_nobody_leaves_a_meeting_before_all_have_arrived(barrier: Path, threads: int) -> None:
    counts = stress(barrier, threads, patience=50, together=True)
    assert counts.shared == counts.rounds >= 200
    assert (counts.wrong, counts.missing) == (0, 0)


@pytest.mark.parametrize(("threads", "patience"), [(2, 50), (4, 0), (8, 100)])
def test_all_agree_on_which_meeting_is_the_last(barrier: Path, threads: int, patience: int) -> None:
    """In each job some thread waits in vain sooner or later, and the first does the rest alone."""
    counts = stress(barrier, threads, patience, together=False)
    assert 0 < counts.shared < counts.rounds
    assert (counts.wrong, counts.missing) == (0, 0)


def test_a_barrier_that_does_not_wait_would_be_noticed(tmp_path: Path) -> None:
    broken = compiled_barrier(tmp_path, "-DBROKEN")
    assert stress(broken, threads=2, patience=50, together=True).wrong > 0
