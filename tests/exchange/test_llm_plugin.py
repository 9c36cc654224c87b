"""The program llm continues a prompt with a run."""

from pathlib import Path

import pytest

import charlm
from tests.cli.conftest import SMALL, book_text, call

llm = pytest.importorskip("llm", reason="llm is not installed")


def test_llm_gets_the_text_that_charlm_writes(tmp_path: Path) -> None:
    from charlm.exchange.llm_plugin import CharlmModel

    (tmp_path / "book.txt").write_text(book_text())
    assert call("train", tmp_path / "book.txt", "--out", tmp_path / "run", *SMALL).code == 0
    answer = CharlmModel().prompt("ba ", run=str(tmp_path / "run"), length=60, seed=3)
    assert "ba " + answer.text() == charlm.load(tmp_path / "run").generate("ba ", length=60, seed=3)
    with pytest.raises(llm.ModelError, match=r"never seen.*; try: "):
        CharlmModel().prompt("\u4e00", run=str(tmp_path / "run")).text()
