"""Trainings whose disk fails, and what a killed process leaves behind."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm import durable
from charlm.config import Config
from charlm.errors import CheckpointError, way_out
from charlm.storage.log import Log
from charlm.storage.run import open_run
from charlm.training.launch import launch
from charlm.training.reports import Started
from tests.training.conftest import StopAt, last, notes, train_into
from tests.training.test_resume import assert_same_end, log_without_times

MakeConfig = Callable[..., Config]


def failing(error: int, calls: int = 10**9) -> Callable[..., Any]:
    """A function that fails as the system does, a number of times."""
    left = calls

    def fail(*_: Any, **__: Any) -> Any:
        nonlocal left
        left -= 1
        if left >= 0:
            raise OSError(error, os.strerror(error))

    return fail


def test_a_line_that_the_log_does_not_take_comes_with_the_next_one(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_into(config(), tmp_path / "whole")
    append, fail = durable.append, failing(errno.ENOSPC, 3)

    def sometimes(*arguments: Any, **named: Any) -> int:
        fail()
        return append(*arguments, **named)

    monkeypatch.setattr(durable, "append", sometimes)
    assert last(train_into(config(), tmp_path / "run")).finished
    assert log_without_times(tmp_path / "run") == log_without_times(tmp_path / "whole")


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log(tmp_path / "log.jsonl")
    log.append({"step": 1})
    before = log.path.read_bytes()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output error") as caught:
        log.sync()
    assert caught.value.filename == str(log.path)
    monkeypatch.setattr(os, "fsync", fsync)
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, hard))
        with pytest.raises(OSError, match=r"File too large|No space"):
            log.append({"step": 2})
        assert log.path.read_bytes() == before
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.append({"step": 3})
    assert [line.count("step") for line in log.path.read_text().splitlines()] == [1, 1, 1]


def test_a_folder_of_checkpoints_that_is_withdrawn_does_not_end_the_training(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail, exists = failing(errno.EACCES, 1), Path.exists

    def sometimes(path: Path, **named: Any) -> bool:
        if path.parent.name == "checkpoints":
            fail()
        return exists(path, **named)

    monkeypatch.setattr(Path, "exists", sometimes)
    reports = train_into(config(), tmp_path / "run")
    (note,) = notes(reports)
    assert "Permission denied; training goes on" in note
    assert last(reports).finished


def test_a_checkpoint_on_the_way_that_cannot_be_saved_does_not_end_the_training(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_into(config(), tmp_path / "whole")
    fail, sync = failing(errno.ENOSPC, 1), durable.sync_file

    def sometimes(path: Path) -> None:
        if "step-" in str(path):
            fail()
        sync(path)

    monkeypatch.setattr(durable, "sync_file", sometimes)
    reports = train_into(config(), tmp_path / "run")
    (note,) = notes(reports)
    assert "No space left" in note
    assert "training goes on" in note
    assert last(reports).finished
    assert_same_end(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (errno.ENOSPC, "MB of disk space free"),
        (errno.EIO, "check the disk"),
        (errno.EACCES, "who may read and write"),
        (errno.EROFS, "read-only"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EFBIG, "ulimit -f"),
    ],
)
def test_the_last_save_that_fails_names_the_cause_and_the_way_out(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int, remedy: str
) -> None:
    settings = config(evaluations=1)
    train_into(settings, tmp_path / "run", stop=StopAt(9))
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    monkeypatch.setattr(durable, "create", failing(error))
    with pytest.raises(CheckpointError, match=os.strerror(error)) as caught:
        train_into(settings, tmp_path / "run")
    assert str(tmp_path / "run") in str(caught.value)
    assert remedy in caught.value.hint
    kept = {path: path.read_bytes() for path in before if path.suffix == ".safetensors"}
    assert kept.items() <= before.items()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("name", ["log.jsonl", "run.toml", "best.json", "checkpoints"])
def test_a_failing_fsync_names_its_file(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: int
) -> None:
    run = tmp_path / "run"
    if name != "run.toml":
        train_into(config(evaluations=1), run, stop=StopAt(9))
    fsync = os.fsync

    def fail(descriptor: int) -> None:
        target = Path(f"/proc/self/fd/{descriptor}").readlink()
        if target.name.startswith(name):
            raise OSError(error, os.strerror(error))
        fsync(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("this system does not tell the names of open files")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((OSError, CheckpointError)) as caught:
        train_into(config(evaluations=1), run)
    failure = caught.value
    said = f"{failure} {getattr(failure, 'filename', '')} {getattr(failure, 'hint', '')}"
    assert str(run) in said
    assert os.strerror(error) in said
    if isinstance(failure, CheckpointError):
        assert (
            "space" in failure.hint
            if error == errno.ENOSPC
            else way_out(OSError(error, "")) in failure.hint
        )


# What is left behind


DEAD = f"x{durable.TEMPORARY_MARK}99999999-0-0".removeprefix("x")


def begin_only(settings: Config, folder: Path) -> None:
    """Make a run, and end before its first step."""
    for report in launch(settings, folder):
        if isinstance(report, Started):
            break


def test_leftovers_of_processes_that_ended_are_removed_beside_and_in_a_run(
    config: MakeConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    begin_only(config(), folder)
    (tmp_path / f"run{DEAD}").mkdir()
    (tmp_path / f"run{DEAD}" / "run.toml").write_text("")
    for name in ("best.json", "run.toml"):
        (folder / f"{name}{DEAD}").write_text("half")
    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / f"step-00000009{DEAD}").mkdir()
    assert open_run(folder).blank  # other settings are not refused
    ours = durable.temporary_name(tmp_path / "run")
    ours.mkdir()
    assert last(train_into(config(bptt=9), folder)).finished
    assert not [path for path in tmp_path.rglob(f"*{durable.TEMPORARY_MARK}*") if path != ours]
    assert ours.exists(), "what a running process writes must stay"


def test_a_kill_while_a_blank_run_is_replaced_leaves_a_run_or_nothing(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    begin_only(config(), folder)
    child = os.fork()
    if child == 0:
        shutil.rmtree = lambda *_, **__: os._exit(9)  # type: ignore[assignment]
        train_into(config(bptt=9), folder)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert last(train_into(config(bptt=9), folder)).finished
    assert [path.name for path in tmp_path.glob("run*")] == ["run"]
