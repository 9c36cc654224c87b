"""Signals in every long phase of every command, once, twice, and in the save that they cause.

Each case is a process that is forked from this one, which has loaded torch: a signal reaches it at
a named point, which is a call of one of its functions.
"""

import importlib
import os
import pkgutil
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import charlm as package
from charlm import durable
from charlm.cli import signals
from charlm.cli.main import main
from charlm.storage.checkpoints import list_checkpoints
from charlm.storage.integrity import is_whole
from charlm.storage.run import open_run
from tests.cli.conftest import book_text, tree

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked"),
]

ENDING = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1]
ALL = [*ENDING, signal.SIGUSR2]
NAMES = [number.name for number in ALL]

TRAIN = "train book.txt --out mine --hidden-size 8 --batch-size 4 --bptt 8 --steps 40"
SMALL_STEPS = f"{TRAIN} --set training.accumulate=2 --set training.evaluations=4"
SAVED = {
    "in a micro-batch": ("charlm.training.optimization.objective:Objective.forward", 31),
    "between two micro-batches": ("charlm.training.optimization.objective:Objective.forward", 32),
    "in a validation": ("charlm.training.validation:Validation.nll", 2),
    "while writing the log": ("charlm.storage.log:Log.append", 2),
    "in a save": ("charlm.storage.checkpoints:write_file", 6),
    "between checkpoint and best.json": ("charlm.storage.run:Run.settle", 2),
}
"""Phases in which training saves: the function, and its call at which the signal comes."""

WORDS = "--tokenizer word --vocab-size 60"
ELSEWHERE = {
    "reading": (TRAIN, "charlm.data.preparation.building:part_ends", 1),
    "learning a tokenizer": (f"{TRAIN} {WORDS}", "charlm.data.tokenizers.words:WordTrainer.add", 1),
    "learning pieces": (f"{TRAIN} --tokenizer bpe --vocab-size 300",
                        "charlm.data.tokenizers.subwords:lines", 1),
    "tokenizing": (TRAIN, "charlm.data.preparation.store:PartWriter.add", 1),
    "counting n-grams": (
        "train book.txt --out mine --set model.kind=ngram", "charlm.training.ngrams:model_of", 1,
    ),
    "measuring the machine": (
        "train book.txt --out mine --minutes 1", "charlm.training.launch:decide", 1,
    ),
    "planning": (f"{TRAIN} --dry-run", "charlm.data.preparation.store:PartWriter.add", 1),
    "perplexity": ("perplexity run book.txt", "charlm.inference.predictors.recurrent:Recurrent.nll",
                   1),
    "scoring": ("score run book.txt", "charlm.inference.predictors.recurrent:Recurrent.forward", 2),
    "pairs": ("pairs run pairs.tsv", "charlm.inference.surprisal.pairs:encode", 3),
    "comparing": ("compare run run book.txt",
                  "charlm.inference.comparison.difference:PairedSums.add", 1),
    "rescoring": ("rescore run nbest.txt", "charlm.inference.rescoring.job:possible", 1),
    "compressing": ("compress run book.txt", "charlm.inference.compression.codec:code", 1),
    "decompressing": ("decompress packed.charlm",
                      "charlm.inference.compression.fixed_point:FixedPointNetwork.advance", 5),
    "generating": ("generate run --prompt ba --seed 1 -n 4000",
                   "charlm.inference.generation.lanes:Lanes.sample", 2),
    "measuring speed": ("bench", "charlm.inference.speed:measure", 1),
    "downloading": ("corpora fetch tinyshakespeare", "charlm.data.catalogue.download:append", 1),
}  # fmt: skip
"""Phases of commands in which there is nothing to save: the command, the function and its call."""


@pytest.fixture(scope="session", autouse=True)
def everything_imported() -> None:
    """Import in this process what each forked one would import again."""
    for module in pkgutil.walk_packages(package.__path__, "charlm."):
        with suppress(ImportError):  # of an extra, or of the compiled library
            importlib.import_module(module.name)
    importlib.import_module("torch._dynamo")  # as the first step of an optimizer does


def at(point: str, call: int, action: Callable[[], None]) -> None:
    """Do ``action`` before the n-th call of a function from now on."""
    module, _, path = point.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    original, left = getattr(owner, name), call

    def counted(*arguments: Any, **named: Any) -> Any:
        nonlocal left
        left -= 1
        if left == 0:
            action()
        return original(*arguments, **named)

    setattr(owner, name, counted)


def offline(url: str, start: int) -> Any:
    """What a server on the way answers: bytes without an end."""

    class Answer:
        status, headers = 200, dict[str, str]()

        def __enter__(self) -> "Answer":
            return self

        def __exit__(self, *error: object) -> None:
            pass

        def read(self, size: int) -> bytes:
            return bytes(min(size, 1000))

    return Answer()


def charlm(command: str, prepare: Callable[[], None] = lambda: None) -> tuple[int, str]:
    """Run a command in a forked process after ``prepare``; its exit code and what it said."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            for number, name in ((1, "out.txt"), (2, "err.txt")):
                os.dup2(os.open(f"../{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            sys.argv = ["charlm", *command.split()]
            for number in ALL:
                signal.signal(number, signal.SIG_DFL)
            signals.SAME_SIGNAL = 0.0
            importlib.import_module("charlm.data.catalogue.download").connect = offline
            prepare()
            main()
        except SystemExit as done:
            code = int(done.code or 0)
        finally:
            sys.stderr.flush()
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, Path("../err.txt").read_text()


def send(*numbers: int) -> None:
    """Let signals reach this process one right after the other."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    for number in numbers:
        os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


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


@pytest.fixture
def inputs(book: Path, run: Path, own_folder: Path) -> Path:
    """Something for every command."""
    Path("pairs.tsv").write_text("ba co lo.\tba co di\n" * 9)
    Path("nbest.txt").write_text("utt1-1 -5.0 ba co\nutt1-2 -5.1 co ba\n")
    Path("text.txt").write_text("ba co lo " * 90)
    assert charlm("compress run text.txt --out packed.charlm")[0] == 0
    Path("text.txt").unlink()
    return own_folder


@pytest.mark.parametrize("phase", ELSEWHERE)
def test_every_other_phase_ends_at_once_and_leaves_nothing(phase: str, inputs: Path) -> None:
    command, *point = ELSEWHERE[phase]
    before = tree(inputs)
    numbers = ENDING if phase != "measuring speed" else ENDING[:1]
    for sent in (*((number,) for number in numbers), tuple(ENDING[:2])):
        code, said = charlm(command, partial(at, *point, partial(send, *sent)))
        assert code in [128 + number for number in sent], said
        assert "Traceback" not in said
        assert "interrupted" in said
        if phase == "counting n-grams":  # a run in which nothing was learned yet stays
            assert open_run("mine").blank
            shutil.rmtree("mine")
        assert tree(inputs) == before


@pytest.mark.parametrize(
    "phase", ["reading", "tokenizing", "counting n-grams", "perplexity", "generating", "comparing"]
)
def test_where_there_is_nothing_to_save_usr2_changes_nothing(phase: str, inputs: Path) -> None:
    command, *point = ELSEWHERE[phase]
    code, said = charlm(command, lambda: at(*point, lambda: send(signal.SIGUSR2)))
    assert code == 0, said
