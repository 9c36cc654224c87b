"""A browser, and small runs to draw."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import charlm
from charlm.explain.activations import Explanation
from tests.web.browser import Browser, open_browser

TEXT = 'So "he said": <b>Yes & No</b>\n\tIt was the best of times, (really) the age of WISDOM.\n'


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium for all tests of this process; skips where there is none."""
    with open_browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs "lstm", of two layers, and "gru", and the cache of their text."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "book.txt").write_text(TEXT * 60, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(folder / "cache"))
        for cell, layers in (("lstm", 2), ("gru", 1)):
            settings = {"cell": cell, "num_layers": layers, "hidden_size": 12, "steps": 30}
            sizes = {"batch_size": 4, "bptt": 16, "evaluations": 3}
            list(charlm.train(str(folder / "book.txt"), folder / cell, **settings, **sizes))
    return folder


@pytest.fixture(scope="session")
def explanation(runs: Path) -> Explanation:
    """What the two layers do with two lines of the text."""
    return charlm.load(runs / "lstm").explain(TEXT)


@pytest.fixture
def cached(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache in which the text of ``runs`` is prepared."""
    monkeypatch.setenv("CHARLM_CACHE", str(runs / "cache"))
