"""Killed at any file operation, or unable to read for a moment, a run loses no checkpoint."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from charlm.config import Config, DataConfig, ModelConfig
from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.errors import CharlmWarning, CheckpointError
from charlm.storage.checkpoints import list_checkpoints, step_of
from charlm.storage.integrity import WHOLE, UnreadableError, is_whole
from charlm.storage.run import Run, create_run

OPERATIONS = ("rename", "replace", "fsync", "mkdir", "rmdir", "unlink")
KILLED = 9


def save(run: Run, step: int, mark: float = 0.0, best: int | None = None) -> None:
    """A checkpoint whose weights tell it from another one of the same step."""
    found = None if best is None else {"step": best, "valid_nll": 1.0}
    run.save(step, {"weight": torch.tensor([mark])}, {}, {"counters": {"step": step}}, found)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    config = Config(data=DataConfig(sources=("a.txt",)), model=ModelConfig(hidden_size=4))
    return create_run(tmp_path / "run", config, CharTokenizer(list("ab")), {"digest": "d"})


def killed_at(operation: int, work: Callable[[], None]) -> bool:
    """Do ``work`` in a process that ends before its n-th file operation; whether it got so far."""
    child = os.fork()
    if child == 0:
        left = operation

        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left == 0:
                    os._exit(KILLED)
                return function(*arguments, **named)

            return call

        for name in OPERATIONS:
            setattr(os, name, counted(getattr(os, name)))
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == KILLED


def kill_points(run: Run, work: Callable[[], None]) -> Iterator[int]:
    """Kill ``work`` at each file operation in turn, every time from the state of now."""
    before = run.folder.with_name("before")
    shutil.copytree(run.folder, before)
    operation = 1
    while killed_at(operation, work):
        yield operation
        shutil.rmtree(run.folder)
        shutil.copytree(before, run.folder)
        operation += 1
    assert operation > 8, "the work has too few operations to have been killed in"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("steps", [(400,), (300, 400)])
def test_a_checkpoint_written_again_is_never_lost(run: Run, steps: tuple[int, ...]) -> None:
    for step in steps:
        save(run, step, mark=1.0)
    marks = set()
    for _ in kill_points(run, lambda: save(run, 400, mark=2.0, best=400)):
        for recovered in (False, True):
            if recovered:
                run.recover()
            found, notes = run.newest()
            assert found is not None
            assert found.step == 400
            assert not notes
            marks.add(found.model["weight"].item())
        assert not list(run.folder.rglob("*charlm-tmp*"))
        assert [step_of(path) for path in list_checkpoints(run.checkpoints)] == list(steps)
    assert marks == {1.0, 2.0}


@pytest.mark.timeout(60)
def test_what_a_crash_left_of_best_json_is_mended_by_the_next_start(run: Run) -> None:
    save(run, 100, best=100)
    save(run, 150, best=150)
    late = 0
    for _ in kill_points(run, lambda: save(run, 200, best=200)):
        found, _ = run.newest()
        assert found is not None
        late += json.loads((run.folder / "best.json").read_text())["step"] != found.step
        assert run.checkpoint().step == found.step
        run.recover()
        assert json.loads((run.folder / "best.json").read_text())["step"] == found.step
        assert len(list_checkpoints(run.checkpoints)) == 2
    assert late, "no kill fell between the checkpoint and best.json"


def damage(run: Run, step: int) -> None:
    path = run.checkpoints / f"step-{step:08d}" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def test_damaged_checkpoints_are_neither_counted_nor_deleted(run: Run) -> None:
    for step in (302, 400):
        save(run, step)
        damage(run, step)
    for step in (100, 150, 200):
        save(run, step)
    assert [step_of(path) for path in list_checkpoints(run.checkpoints)] == [150, 200, 302, 400]
    assert run.read_step(200).step == 200


def test_a_damaged_checkpoint_that_is_written_again_keeps_a_name(run: Run) -> None:
    save(run, 400)
    damage(run, 400)
    save(run, 400, mark=2.0)
    assert run.checkpoint(400).model["weight"].item() == 2.0
    assert len(list(run.checkpoints.glob("damaged-step-00000400*"))) == 1


@pytest.fixture
def unreadable(run: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the system refuse to open the files of a step, as it does without a permission."""
    original = os.open

    def refuse(step: int) -> None:
        def opened(path: Path, *arguments: Any, **named: Any) -> Any:
            if Path(path).parent.name == f"step-{step:08d}":
                raise PermissionError(13, "Permission denied")
            return original(path, *arguments, **named)

        monkeypatch.setattr(os, "open", opened)

    return refuse


def test_what_cannot_be_read_now_is_not_taken_for_damage(
    run: Run, unreadable: Callable[[int], None]
) -> None:
    for step in (1000, 1201):
        save(run, step)
    WHOLE.clear()  # what another process has found out is not known here
    unreadable(1201)
    with pytest.raises(UnreadableError, match="Permission denied"):
        run.newest()
    save(run, 1300)
    save(run, 1400)
    assert [step_of(path) for path in list_checkpoints(run.checkpoints)] == [1201, 1300, 1400]


def test_checkpoints_of_a_newer_version_are_not_taken_for_damage(run: Run) -> None:
    save(run, 10)
    save(run, 20)
    path = run.checkpoints / "step-00000020" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(UnreadableError, match="newer charlm"):
        run.newest()


@pytest.mark.parametrize("lost", ["damaged", "gone"])
def test_training_does_not_begin_anew_where_all_checkpoints_are(run: Run, lost: str) -> None:
    save(run, 10, best=10)
    if lost == "damaged":
        damage(run, 10)
    else:
        run.checkpoints.rename(run.folder.with_name("elsewhere"))
    with pytest.raises(CheckpointError, match=lost) as caught:
        run.newest()
    assert "to train from the start" in caught.value.hint


def test_another_step_than_the_best_is_never_used_without_a_word(run: Run) -> None:
    save(run, 10, best=10)
    save(run, 20, best=10)
    damage(run, 10)
    with pytest.warns(CharlmWarning, match="step 20 is used instead of the best, 10"):
        assert run.checkpoint().step == 20


def test_a_checkpoint_is_whole_only_while_its_files_are(run: Run) -> None:
    save(run, 10)
    (path,) = list_checkpoints(run.checkpoints)
    assert is_whole(path)
    damage(run, 10)
    assert not is_whole(path)


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "model.safetensors"])
def test_a_pipe_in_place_of_a_file_is_refused_at_once(run: Run, name: str) -> None:
    save(run, 10)
    (run.checkpoints / "step-00000010" / name).unlink()
    os.mkfifo(run.checkpoints / "step-00000010" / name)
    with pytest.raises(CheckpointError, match="damaged"):
        run.checkpoint(10)
