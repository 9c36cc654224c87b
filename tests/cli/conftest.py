"""The program in this process, a book, and small runs of every tokenizer, trained once."""

import hashlib
import importlib
import os
import pkgutil
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import charlm as package
from charlm.cli.main import cli

torch.set_num_threads(1)  # more only get in each other's way with models as small as these

ONE_THREAD = {"OMP_NUM_THREADS": "1"}
SMALL = ("--hidden-size", "16", "--batch-size", "4", "--bptt", "16", "--steps", "20")
KINDS = {
    "byte": (),
    "char": (),
    "word": ("--vocab-size", "60"),
    "bpe": ("--vocab-size", "300"),
    "unigram": ("--vocab-size", "300"),
}


TALK = ("text ", "tokenizer ", "note ", "model ", "run ")
"""How lines begin that say what has been done so far."""


@dataclass(frozen=True)
class Outcome:
    """What a command did: exit code, stdout as text and as bytes, the lines of stderr."""

    code: int
    out: str
    raw: bytes
    err: list[str]


def book_text(words: int = 3000) -> str:
    """Sentences of made-up words, some lines, an accent now and then."""
    source = random.Random(1)
    syllables = ["ba", "co", "di", "fu", "ga", "lo", "mé", "ne", "pi", "ra", "so", "tu"]
    names = ["".join(source.choices(syllables, k=source.randint(1, 3))) for _ in range(80)]
    chosen = source.choices(names, k=words)
    ends = source.choices([" ", ", ", ". ", ".\n"], weights=[8, 2, 1, 1], k=words)
    return "".join(word + end for word, end in zip(chosen, ends, strict=True))


def call(*arguments: object, stdin: str | bytes | None = None) -> Outcome:
    """Run ``charlm`` in this process."""
    done = CliRunner().invoke(
        cli, [str(argument) for argument in arguments], input=stdin, prog_name="charlm"
    )
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Outcome(done.exit_code, done.stdout, done.stdout_bytes, done.stderr.splitlines())


def failed(done: Outcome, code: int, cause: str, remedy: str) -> None:
    """Assert that a command ended as it should."""
    talk, (first, second) = done.err[:-2], done.err[-2:]
    assert all(line.startswith(TALK) for line in talk), talk
    assert (first[:7], second[:7]) == ("error: ", "  try: ")
    assert cause in first
    assert remedy in second
    assert "should not have happened" not in first
    assert done.code == code


def start(*arguments: object, **options: Any) -> "subprocess.Popen[str]":
    """Run ``charlm`` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "charlm", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD,
        **options,
    )  # fmt: skip


def tree(folder: Path) -> dict[str, str]:
    """Every file below ``folder`` with the hash of its content, every folder, every link."""
    found = {}
    for path in sorted(folder.rglob("*")):
        kind = "folder" if path.is_dir() else "file"
        if path.is_symlink():
            kind = f"link to {path.readlink()}"
        elif path.is_file():
            kind = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = kind
    return found


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test works in an empty folder."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def book(own_folder: Path) -> Path:
    """A text to train on."""
    path = own_folder / "book.txt"
    path.write_text(book_text(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A run of a kind of tokenizer, trained when it is first asked for."""
    folder = tmp_path_factory.mktemp("runs")
    source = folder / "book.txt"
    source.write_text(book_text(), encoding="utf-8")

    def train(kind: str) -> Path:
        run = folder / kind
        if not run.exists():
            cache = os.environ["CHARLM_CACHE"]
            os.environ["CHARLM_CACHE"] = str(folder / "cache")
            done = call("train", source, "--out", run, "--tokenizer", kind, *KINDS[kind], *SMALL)
            os.environ["CHARLM_CACHE"] = cache
            assert done.code == 0, done.err
        return run

    return train


@pytest.fixture
def run(trained: Callable[[str], Path], own_folder: Path) -> Path:
    """A run of characters that a test may damage, called ``run``."""
    shutil.copytree(trained("char"), own_folder / "run")
    return own_folder / "run"


@pytest.fixture(scope="session")
def everything_imported() -> None:
    """Import in this process what each forked one would import again."""
    for module in pkgutil.walk_packages(package.__path__, "charlm."):
        with suppress(ImportError):  # of an extra, or of the compiled library
            importlib.import_module(module.name)
    importlib.import_module("torch._dynamo")  # as the first step of an optimizer does
