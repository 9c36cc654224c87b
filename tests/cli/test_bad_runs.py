"""Runs that cannot be used, and runs and folders that must not be changed."""

import shutil
from pathlib import Path

import filelock
import pytest

from charlm.config import ModelConfig
from tests.cli.conftest import SMALL, call, failed, tree


@pytest.fixture(autouse=True)
def things(book: Path, run: Path) -> None:
    """A text, a run, a folder with something else in it, and a link that leads nowhere."""
    Path("full-folder").mkdir()
    Path("full-folder/letter.txt").write_text("dear")
    Path("link").symlink_to("nowhere")


def damage(name: str, content: bytes | None = None) -> None:
    """Change a file of the run, or remove it."""
    path = next(Path("run").glob(name))
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def make_newer() -> None:
    path = Path("run/run.toml")
    path.write_text(path.read_text().replace("format = 1", "format = 2"))


def flip_weights() -> None:
    for path in Path("run").glob("checkpoints/*/model.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)


RUNS = {
    "missing": (lambda: shutil.rmtree("run"), "run does not exist", "such as runs/NAME"),
    "no settings": (lambda: damage("run.toml"), "run is not a run", "such as runs/NAME"),
    "newer": (make_newer, "written by a newer charlm", "upgrade charlm"),
    "bad settings": (lambda: damage("run.toml", b"[model"), "cannot be read", "restore"),
    "binary settings": (lambda: damage("run.toml", b"\xff\xfe"), "cannot be read", "restore"),
    "no tokenizer": (lambda: shutil.rmtree("run/tokenizer"), "cannot be read", "tokenizer"),
    "bad tokenizer": (lambda: damage("tokenizer/tokenizer.json", b"{"), "no JSON", "damaged"),
    "flipped bits": (flip_weights, "has changed since it was written", "restore"),
    "no checkpoints": (lambda: shutil.rmtree("run/checkpoints"), "checkpoints are gone", "restore"),
}  # fmt: skip


@pytest.mark.parametrize("state", list(RUNS))
@pytest.mark.parametrize("command", ["generate run", "perplexity run book.txt"])
def test_a_run_that_cannot_be_used(command: str, state: str) -> None:
    break_it, cause, remedy = RUNS[state]
    break_it()
    before = tree(Path())
    failed(call(*command.split()), 1, cause, remedy)
    assert tree(Path()) == before


def test_a_checkpoint_that_is_not_there_is_named_with_those_that_are() -> None:
    failed(call("generate", "run", "--step", 7), 1, "no checkpoint of step 7", "18, 20")


@pytest.mark.parametrize("state", ["newer", "bad settings", "binary settings"])
def test_training_does_not_go_on_in_a_run_that_cannot_be_used(state: str) -> None:
    break_it, cause, remedy = RUNS[state]
    break_it()
    before = tree(Path())
    failed(call("train", "--out", "run"), 1, cause, remedy)
    assert tree(Path()) == before


@pytest.mark.parametrize(
    ("out", "cause"),
    [
        ("full-folder", "full-folder exists and is not a run"),
        ("book.txt", "book.txt exists and is not a run"),
        ("link", "link exists and is not a run"),
        ("book.txt/run", "book.txt"),
    ],
)
def test_an_output_folder_with_something_else_in_it(out: str, cause: str) -> None:
    before = tree(Path())
    failed(call("train", "book.txt", "--out", out, *SMALL), 1, cause, "--out")
    assert tree(Path()) == before


def test_a_run_in_use_is_not_touched() -> None:
    with filelock.FileLock("run/.lock"):
        before = tree(Path())
        done = call("train", "--out", "run", "--steps", 40)
        assert tree(Path()) == before
    failed(done, 1, "run is in use", "wait")


def test_a_text_that_changed_since_the_run_began() -> None:
    book = Path("book.txt")
    assert call("train", book, "--out", "mine", *SMALL).code == 0
    book.write_text(book.read_text() + "ba co\n")
    before = tree(Path())
    done = call("train", book, "--out", "mine", *SMALL)
    failed(done, 1, "the text has changed since the run mine began", "another --out")
    assert tree(Path()) == before


def test_other_settings_than_the_run_began_with() -> None:
    before = tree(Path())
    done = call("train", "--out", "run", "--set", "model.dropout=0.5")
    dropout = ModelConfig().with_defaults().dropout
    begun = f"run was begun with --set model.dropout={dropout}, not 0.5"
    failed(done, 2, begun, "another --out FOLDER")
    assert tree(Path()) == before
