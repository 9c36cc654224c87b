"""A model that is made and loaded through the front door, and the folder it lives in."""

from pathlib import Path
from typing import Any

import pytest

import charlm
from charlm import Model
from tests.cli.conftest import book_text

SMALL: dict[str, Any] = {"hidden_size": 16, "batch_size": 4, "bptt": 16, "steps": 20}


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a book and a run of it, made through the front door."""
    made = tmp_path_factory.mktemp("front")
    (made / "book.txt").write_text(book_text(), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(made / "cache"))
        for _ in charlm.train(made / "book.txt", out=made / "runs/book", **SMALL):
            pass
    return made


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests work beside the run, with the cache it was trained with."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CHARLM_CACHE", str(folder / "cache"))


@pytest.fixture
def model() -> Model:
    return charlm.load("runs/book")
