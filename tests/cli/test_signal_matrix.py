"""Signals in every phase of training, once, twice, and in the save that they cause.

Each case is a process that is forked from this one, which has loaded torch: a signal reaches it at
a named point, which is a call of one of its functions.
"""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from charlm import durable
from charlm.storage.checkpoints import list_checkpoints
from charlm.storage.integrity import is_whole
from charlm.storage.run import open_run
from tests.cli.conftest import book_text
from tests.cli.signalled import ENDING, NAMES, TRAIN, at, charlm, send, signalled

pytestmark = signalled

SMALL_STEPS = f"{TRAIN} --set training.accumulate=2 --set training.evaluations=4"
SAVED = {
    "in a micro-batch": ("charlm.training.optimization.objective:Objective.forward", 31),
    "between two micro-batches": ("charlm.training.optimization.objective:Objective.forward", 32),
    "in a validation": ("charlm.training.validation:Validation.nll", 2),
    "while writing the log": ("charlm.storage.log:Log.append", 2),
    "in a save": ("charlm.storage.checkpoints:write_file", 6),
    "between checkpoint and best.json": ("charlm.storage.run:Run.name_best", 2),
}
"""Phases in which training saves: the function, and its call at which the signal comes."""


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The weights at the end of the training that nothing disturbs."""
    folder, before = tmp_path_factory.mktemp("whole") / "work", Path.cwd()
    folder.mkdir()
    os.chdir(folder)
    Path("book.txt").write_text(book_text(), encoding="utf-8")
    assert charlm(SMALL_STEPS)[0] == 0
    os.chdir(before)
    return weights(folder / "mine")


def weights(run: Path) -> bytes:
    """The file of the newest weights of a run."""
    return (list_checkpoints(run / "checkpoints")[-1] / "model.safetensors").read_bytes()


def finishes(whole: bytes) -> None:
    """Check that the same command resumes the run, and ends in the weights of ``whole``."""
    code, said = charlm(SMALL_STEPS)
    assert code == 0, said
    assert weights(Path("mine")) == whole
    assert not list(Path().rglob(f"*{durable.TEMPORARY_MARK}*"))


@pytest.mark.parametrize("phase", SAVED)
@pytest.mark.parametrize("number", ENDING, ids=NAMES[:4])
def test_training_saves_and_leaves(phase: str, number: int, book: Path, whole: bytes) -> None:
    code, said = charlm(SMALL_STEPS, lambda: at(*SAVED[phase], lambda: send(number)))
    assert (code, "Traceback" in said) == (128 + number, False), said
    found, notes = open_run("mine").newest()
    assert found is not None
    assert 0 < found.step < 40
    assert not notes
    assert not list(Path().rglob(f"*{durable.TEMPORARY_MARK}*"))
    if number == signal.SIGTERM:
        finishes(whole)


@pytest.mark.parametrize("phase", SAVED)
@pytest.mark.parametrize("number", ENDING[:2], ids=NAMES[:2])
def test_a_second_signal_leaves_at_once_and_harms_nothing(
    phase: str, number: int, book: Path, whole: bytes
) -> None:
    second = ENDING[ENDING.index(number) - 1]
    code, said = charlm(SMALL_STEPS, lambda: at(*SAVED[phase], lambda: send(number, second)))
    assert code in (128 + number, 128 + second), said
    assert "Traceback" not in said
    assert all(map(is_whole, list_checkpoints(Path("mine/checkpoints"))))
    if number == signal.SIGTERM:
        finishes(whole)


@pytest.mark.parametrize("operation", ["create", "sync_file", "sync_folder", "write_folder"])
def test_a_second_signal_in_the_save_leaves_at_once_and_harms_nothing(
    operation: str, book: Path, whole: bytes
) -> None:
    def then_again() -> None:
        send(signal.SIGTERM)
        at(f"charlm.durable:{operation}", 1, lambda: send(signal.SIGINT))

    code, said = charlm(SMALL_STEPS, lambda: at(*SAVED["in a micro-batch"], then_again))
    assert (code, "Traceback" in said) == (130, False), said
    assert all(map(is_whole, list_checkpoints(Path("mine/checkpoints"))))
    finishes(whole)


@pytest.mark.parametrize("phase", SAVED)
def test_usr2_saves_and_goes_on(phase: str, book: Path, whole: bytes) -> None:
    saves = Path("../saves.txt")

    def prepare() -> None:
        at(*SAVED[phase], lambda: send(signal.SIGUSR2))
        original = open_run.__globals__["Run"].save

        def counted(*arguments: Any) -> Any:
            saves.open("a").write("x")
            return original(*arguments)

        open_run.__globals__["Run"].save = counted

    code, said = charlm(SMALL_STEPS, prepare)
    assert code == 0, said
    assert len(saves.read_text()) >= 5  # four validations, and once because of the signal
    assert weights(Path("mine")) == whole
