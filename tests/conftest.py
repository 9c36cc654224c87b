"""What every test shares: real texts where they are present, a cache of its own, few threads."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the program does, before torch is loaded
if "PYTEST_XDIST_WORKER" in os.environ:  # several processes share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

# A shell that starts the tests in the background has them ignore Ctrl-C, which many of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real texts, from CHARLM_DATA or beside the checkout; skips where absent."""
    beside = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CHARLM_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"real texts are not present: set CHARLM_DATA (looked in {folder})")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Point the cache away from the user's."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("CHARLM_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Let what torch draws, like dropout, not depend on the tests that ran before."""
    torch.manual_seed(1)


Figure = Callable[[str], None]


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """Say a line of figures, which the summary of the tests prints."""
    return lambda line: record_property("figure", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests have said."""
    reports = [report for found in terminalreporter.stats.values() for report in found]
    said = [
        value
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, value in report.user_properties
        if name == "figure"
    ]
    if said:
        terminalreporter.section("figures")
        for line in said:
            terminalreporter.write_line(line)


LONGEST = ("test_guides.py", "test_kills.py", "test_known_truth.py", "test_methods.py")
"""Files with the longest tests, which begin first, so that no process waits for one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of ``LONGEST`` first; the order within a file stays."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
