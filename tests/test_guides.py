"""Every block of the README and of the guides in docs/ runs, with small budgets."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from tests.pages import BOOK, ROOT, Trainings, blocks, run_process, varied

EXTRAS = ("lm_eval",)
"""Packages of extras: blocks that import one that is missing are left out, and so reported."""

PAGES = {
    "README.md": BOOK,
    "docs/writing.md": BOOK,
    "docs/surprisal.md": BOOK,
    "docs/compare.md": BOOK,
    "docs/rescore.md": BOOK,
    "docs/compression.md": BOOK[: len(BOOK) // 8],
    "docs/evaluation.md": varied(1, 1200),
    "docs/lstm.md": BOOK[: len(BOOK) // 8],
    "docs/exchange.md": BOOK[: len(BOOK) // 8],
    "docs/training-on.md": BOOK[: len(BOOK) // 8],
}
"""The pages, each with the book.txt that its commands read."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what the pages share: trained runs and prepared texts."""
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page has an empty folder; the cache is that of all pages."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHARLM_CACHE", str(shared / "cache"))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_runs(page: str, shared: Path) -> None:
    Path("book.txt").write_text(PAGES[page], encoding="utf-8")
    Path("letter.txt").write_text(varied(2, 60), encoding="utf-8")
    Trainings(shared / "runs").run_page(ROOT / page)


def missing_extra(body: str) -> str | None:
    wanted = [name for name in EXTRAS if re.search(rf"^(import|from) {name}\b", body, re.MULTILINE)]
    return next((name for name in wanted if importlib.util.find_spec(name) is None), None)


def test_the_blocks_of_the_python_guide_run_one_after_the_other() -> None:
    Path("book.txt").write_text(varied(1, 1200), encoding="utf-8")
    bodies = [body for kind, body in blocks(ROOT / "docs" / "python.md") if kind == "python"]
    left_out = {extra for body in bodies if (extra := missing_extra(body))}
    script = "\n".join(body for body in bodies if not missing_extra(body))
    run_process([sys.executable, "-c", script])
    if left_out:
        pytest.skip(f"all ran but the blocks that need {', '.join(sorted(left_out))}")
