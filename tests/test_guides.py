"""Every block of the guides in docs/ runs."""

import importlib.util
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import BOOK, shrink

GUIDES = Path(__file__).parents[1] / "docs"
WORDS = ("it", "It", "was", "the", "best", "worst", "of", "times", "age", "wisdom.", "hope,\n")
EXTRAS = ("lm_eval",)
"""Packages of extras: blocks that import one that is missing are left out, and so reported."""


def varied(seed: int, words: int) -> str:
    """Words at random: no two parts have a passage in common, as they would in ``BOOK``."""
    return " ".join(random.Random(seed).choices(WORDS, k=words))


BOOKS = {
    "surprisal.md": BOOK,
    "compare.md": BOOK,
    "rescore.md": BOOK,
    "compression.md": BOOK,
    "evaluation.md": varied(1, 3000),
}


def blocks(name: str) -> list[tuple[str, str]]:
    text = (GUIDES / name).read_text(encoding="utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def run(command: list[str], folder: Path) -> None:
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "2",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{command[-1]}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("name", BOOKS)
def test_every_block_of_a_guide_runs(name: str, tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOKS[name], encoding="utf-8")
    (tmp_path / "letter.txt").write_text(varied(2, 60), encoding="utf-8")
    for kind, body in blocks(name):
        lines = [line.removeprefix("$ ") for line in body.splitlines() if line.startswith("$ ")]
        for line in lines:
            run(["bash", "-c", shrink(line)], tmp_path)
        if kind == "python":
            run([sys.executable, "-W", "error", "-c", body], tmp_path)


def missing_extra(body: str) -> str | None:
    wanted = [name for name in EXTRAS if re.search(rf"^(import|from) {name}\b", body, re.MULTILINE)]
    return next((name for name in wanted if importlib.util.find_spec(name) is None), None)


def test_the_blocks_of_the_python_guide_run_one_after_the_other(
    tmp_path: Path, own_cache: Path
) -> None:
    (tmp_path / "book.txt").write_text(varied(1, 3000), encoding="utf-8")
    bodies = [body for kind, body in blocks("python.md") if kind == "python"]
    left_out = {extra for body in bodies if (extra := missing_extra(body))}
    script = "\n".join(body for body in bodies if not missing_extra(body))
    run([sys.executable, "-c", script], tmp_path)
    if left_out:
        pytest.skip(f"all ran but the blocks that need {', '.join(sorted(left_out))}")
