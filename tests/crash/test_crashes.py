"""Whatever a crash leaves of a run folder, the last checkpoint on disk is found and used."""

import os
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.conftest import Figure
from tests.crash.crashes import run_crashes
from tests.crash.files import run_file_crashes
from tests.crash.watch import Operation

STATES = 2_600
"""Distinct states a test; the smallest number that a release is held to is 5,000 in all."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_crash_loses_a_checkpoint_that_was_on_disk(seed: int, figure: Figure) -> None:
    counts = run_crashes(seed, STATES)
    figure(counts.line("states of a run after a crash"))
    assert not counts.wrong
    assert counts.trials == STATES
    assert counts.hits["after a second crash"] > STATES // 4


def lost_file_sync(operation: Operation) -> bool:
    """A disk that forgets the fsync of files."""
    return operation.kind != "sync" or Path(operation.path).is_dir()


def lost_folder_sync(operation: Operation) -> bool:
    """A disk that forgets the fsync of folders."""
    return operation.kind != "sync" or Path(operation.path).is_file()


@pytest.mark.timeout(300)
def test_no_crash_spoils_a_cache_a_download_or_an_output(figure: Figure) -> None:
    counts = run_file_crashes(1, 600)
    figure(counts.line("states of other files after a crash"))
    assert not counts.wrong


def test_a_broken_fsync_of_other_files_is_caught(figure: Figure) -> None:
    counts = run_file_crashes(1, 300, lost_file_sync)
    figure(counts.line("null control, lost file sync: states of other files"))
    assert len(counts.wrong) > 5


@pytest.mark.parametrize("broken", [lost_file_sync, lost_folder_sync])
def test_a_broken_fsync_is_caught(broken, figure: Figure) -> None:
    counts = run_crashes(3, 200, broken)
    figure(counts.line(f"null control, {broken.__name__.replace('_', ' ')}: states"))
    assert len(counts.wrong) > 10


def copied_and_removed(path: Path, target: str | Path) -> Path:
    """Do what a rename does, step by step."""
    if not path.is_dir():
        Path(target).write_bytes(path.read_bytes())
        os.unlink(path)  # noqa: PTH108
        return Path(target)
    Path(target).mkdir()
    for inner in sorted(path.iterdir()):
        copied_and_removed(inner, Path(target) / inner.name)
    shutil.rmtree(path)
    return Path(target)


def test_a_broken_rename_is_caught(figure: Figure) -> None:
    with (
        patch.object(Path, "rename", copied_and_removed),
        patch.object(Path, "replace", copied_and_removed),
    ):
        counts = run_crashes(3, 200)
    figure(counts.line("null control, rename that is a copy: states"))
    assert len(counts.wrong) > 10
