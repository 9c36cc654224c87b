"""Trainings whose text moves, whose disk fails, whose numbers explode, or that are not alone."""

import errno
import math
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from charlm import durable
from charlm.config import Config
from charlm.data.preparation import store as store_module
from charlm.errors import CheckpointError, CorpusError, ModelError, way_out
from charlm.storage.checkpoints import list_checkpoints
from charlm.storage.log import Log
from charlm.storage.run import lock, open_run
from charlm.training import launch as launch_module
from charlm.training.launch import launch, train
from charlm.training.learner import Learner, Outcome
from charlm.training.reports import Note, Saved, Started, Stepped
from tests.training.conftest import WORDS, StopAt, last, train_into
from tests.training.test_resume import assert_same_end, final, log_without_times

MakeConfig = Callable[..., Config]


def notes(reports: list[object]) -> list[str]:
    return [report.text for report in reports if isinstance(report, Note)]


# The text


def test_a_run_is_resumed_from_another_folder_and_under_another_name(
    config: MakeConfig, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"hidden_size": 8, "batch_size": 4, "bptt": 7, "split": [80, 20], "out": "run"}
    list(train("text.txt", steps=5, **given))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    resumed = list(train(out="../run", steps=10))
    assert last(resumed).step == 10
    assert any("no file, folder or corpus called text.txt" in note for note in notes(resumed))
    text.rename(tmp_path / "below" / "renamed.txt")
    assert last(list(train("renamed.txt", steps=15, **given | {"out": "../run"}))).step == 15
    assert open_run("../run").config.data.sources == ("renamed.txt",)
    shutil.rmtree(os.environ["CHARLM_CACHE"])
    assert last(list(train(out="../run", steps=20))).step == 20  # by its newest name
    shutil.rmtree(os.environ["CHARLM_CACHE"])
    Path("renamed.txt").rename("again.txt")
    with pytest.raises(CorpusError, match="text of this run is not here") as caught:
        list(train(out="../run", steps=25))
    assert "name the text" in caught.value.hint


def test_another_text_is_refused_before_it_is_tokenized(
    config: MakeConfig, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_into(config(), tmp_path / "run")
    other = text.with_name("other.txt")
    other.write_text(WORDS * 41)
    monkeypatch.setattr("charlm.data.preparation.prepared.build", None)
    table = config().to_tables()
    table["data"]["sources"] = [str(other)]
    with pytest.raises(CorpusError, match=r"begun with another text: .*text.txt, not .*other.txt"):
        train_into(Config.from_tables(table), tmp_path / "run")


def test_a_run_that_was_replaced_before_its_lock_was_taken_is_refused(
    config: MakeConfig, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(folder: Path) -> Any:
        """Another process makes and trains another run in the moment before the lock is taken."""
        monkeypatch.setattr(launch_module, "lock", lock)
        text.write_text(WORDS * 50)
        train_into(config(), folder)
        return lock(folder)

    monkeypatch.setattr(launch_module, "lock", replaced)
    with pytest.raises(CheckpointError, match="replaced this run meanwhile"):
        train_into(config(), tmp_path / "run")
    assert last(train_into(config(), tmp_path / "run")).finished


def test_tokens_that_were_damaged_in_the_cache_are_made_again(
    config: MakeConfig, tmp_path: Path, own_cache: Path
) -> None:
    train_into(config(), tmp_path / "whole")
    (tokens,) = own_cache.rglob("train.bin")
    damaged, written = bytearray(tokens.read_bytes()), tokens.stat()
    damaged[99] ^= 1
    tokens.write_bytes(damaged)
    os.utime(tokens, ns=(written.st_atime_ns, written.st_mtime_ns))  # by the disk itself
    train_into(config(), tmp_path / "run")
    assert_same_end(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_tokens_that_are_cut_short_in_use_cost_nothing(
    config: MakeConfig, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(store_module, "HELD", held)
    reports = launch(config(evaluations=1, accumulate=2), tmp_path / "run")
    for report in reports:
        if isinstance(report, Stepped) and report.step == 7:
            break
    (tokens,) = own_cache.rglob("train.bin")
    os.truncate(tokens, 10)
    if held:
        assert last(list(reports)).finished
        return
    with pytest.raises(CorpusError, match=r"train.bin was cut short while in use"):
        list(reports)
    assert final(tmp_path / "run").step == 7
    assert last(train_into(config(evaluations=1, accumulate=2), tmp_path / "run")).finished


# The disk


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


# Numbers


def exploding(monkeypatch: pytest.MonkeyPatch, when: Callable[[int, float], bool]) -> None:
    """Let steps fail as they do where the loss is not finite: (step, learning rate) -> whether."""
    learn = Learner.learn

    def learned(learner: Learner, step: int, rate: float) -> Outcome:
        outcome = learn(learner, step, rate)
        if when(step, rate):
            return Outcome(math.inf, math.inf, outcome.tokens, taken=False)
        return outcome

    monkeypatch.setattr(Learner, "learn", learned)


def test_ten_steps_without_finite_numbers_go_back_to_the_last_checkpoint(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(steps=40, evaluations=4, schedule="constant", warmup=0.0, average="ema")
    rates: list[float] = []
    exploding(monkeypatch, lambda step, rate: rates.append(rate) or (step >= 12 and rate > 0.004))
    reports = train_into(settings, tmp_path / "run")
    steps = [report.step for report in reports if isinstance(report, Stepped)]
    assert steps[:33] == [*range(1, 23), *range(11, 22)]  # 22 without saves, and again from 10
    went_back = [note for note in notes(reports) if "back to the checkpoint of step 10" in note]
    assert len(went_back) >= 1
    assert rates[22] == pytest.approx(rates[0] / 2)
    assert last(reports).finished
    found = final(tmp_path / "run")
    assert found.step == 40
    assert found.state["counters"]["returns"] == len(went_back)
    assert [line["step"] for line in log_without_times(tmp_path / "run")] == [
        10, 10, 20, 20, 30, 30, 40, 40,
    ]  # fmt: skip


def test_training_that_explodes_at_any_rate_gives_up_and_keeps_its_checkpoint(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exploding(monkeypatch, lambda step, rate: step >= 12)
    with pytest.raises(ModelError, match="not finite in 10 steps"):
        train_into(config(steps=40, evaluations=4), tmp_path / "run")
    assert final(tmp_path / "run").step == 10


def test_weights_that_are_not_finite_are_never_saved(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Learner.learn

    def spoiled(learner: Learner, step: int, rate: float) -> Outcome:
        outcome = learn(learner, step, rate)
        if step == 14:
            with torch.no_grad():
                learner.model.head.bias[0] = math.nan
        return outcome

    monkeypatch.setattr(Learner, "learn", spoiled)
    train_into(config(evaluations=3), tmp_path / "run", stop=StopAt(25))
    for path in list_checkpoints(tmp_path / "run" / "checkpoints"):
        found = open_run(tmp_path / "run").checkpoint(int(path.name[-8:]))
        assert all(weight.isfinite().all() for weight in found.model.values())
    assert final(tmp_path / "run").step == 10


# Not alone


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
