"""Trainings beside other trainings, beside readers, and asked from outside to save or stop."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from charlm.config import Config
from charlm.errors import CheckpointError
from charlm.storage.run import open_run
from charlm.training.launch import launch
from charlm.training.reports import Saved, Stepped
from tests.training.conftest import StopAt, last, train_into
from tests.training.test_resume import assert_same_end, final

MakeConfig = Callable[..., Config]


def test_trainings_in_threads_end_in_the_same_bits_as_alone(
    config: MakeConfig, tmp_path: Path
) -> None:
    settings = [config(seed=seed) for seed in (1, 2, 3)]
    for number, each in enumerate(settings):
        train_into(each, tmp_path / f"alone-{number}")
    threads = [
        threading.Thread(target=train_into, args=(each, tmp_path / f"beside-{number}"))
        for number, each in enumerate(settings)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for number in range(len(settings)):
        assert_same_end(tmp_path / f"alone-{number}", tmp_path / f"beside-{number}")


def test_a_training_that_is_closed_in_another_thread_gives_its_lock_back(
    config: MakeConfig, tmp_path: Path
) -> None:
    reports = launch(config(), tmp_path / "run")
    while not isinstance(next(reports), Stepped):
        pass
    with pytest.raises(CheckpointError, match="in use"):
        train_into(config(), tmp_path / "run")
    thread = threading.Thread(target=reports.close)  # type: ignore[attr-defined]
    thread.start()
    thread.join(60)
    assert last(train_into(config(), tmp_path / "run")).finished


def test_a_reader_beside_a_training_that_prunes_always_finds_a_whole_checkpoint(
    config: MakeConfig, tmp_path: Path
) -> None:
    settings = config(steps=200, evaluations=100)
    train_into(settings, tmp_path / "run", stop=StopAt(9))
    child = os.fork()
    if child == 0:
        train_into(settings, tmp_path / "run")
        os._exit(0)
    reads, steps = 0, set()
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        run = open_run(tmp_path / "run")
        found, skipped = run.newest()
        assert found is not None
        assert not skipped
        steps.add(found.step)
        run.checkpoint()  # a warning, which is an error here, would say that it took another one
        reads += 1
    assert len(steps) > 5, f"{reads} reads saw only the steps {steps}"


def test_what_was_asked_for_is_saved_and_training_goes_on(
    config: MakeConfig, tmp_path: Path
) -> None:
    asked = iter([False, False, True])
    reports = train_into(config(evaluations=1), tmp_path / "run", save=lambda: next(asked, False))
    assert next(report.step for report in reports if isinstance(report, Saved)) == 3
    assert last(reports).step == 30


@pytest.mark.parametrize("part", [1, 2])
def test_a_step_that_is_stopped_between_two_micro_batches_never_happened(
    config: MakeConfig, tmp_path: Path, part: int
) -> None:
    settings = config(accumulate=3, evaluations=1)
    train_into(settings, tmp_path / "whole")
    train_into(settings, tmp_path / "parts", stop=StopAt(3 * 7 + part))
    assert final(tmp_path / "parts").step in (6, 7)
    train_into(settings, tmp_path / "parts")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")
