"""Commands load no library that they have no use for."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

UNNEEDED = {"torch._dynamo", "sympy", "datasets", "pandas"}
COMMANDS = """
import sys
from charlm.cli.main import cli
run, text = sys.argv[1:]
for command in (
    ["generate", run, "-n", "5"],
    ["score", run, text],
    ["perplexity", run, text],
    ["explain", run, "ba"],
    ["compress", run, text, "--out", "packed"],
    ["train", text, "--out", "other", "--steps", "2", "--hidden-size", "16", "--set", OPTIMIZER],
    ["explain", run, "ba"],
):
    cli(command, standalone_mode=False)
print(*sys.modules)
"""


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_commands_that_read_or_train_a_model_load_nothing_they_do_not_need(
    trained: Callable[[str], Path], book: Path, optimizer: str
) -> None:
    pytest.importorskip("constriction", reason="compressing needs the extra compress")
    book.write_text(book.read_text(encoding="utf-8")[:400], encoding="utf-8")
    commands = COMMANDS.replace("OPTIMIZER", repr(f"training.optimizer={optimizer}"))
    done = subprocess.run(
        [sys.executable, "-c", commands, trained("char"), book],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "charlm.model.language_model" in loaded
    assert not UNNEEDED & loaded
