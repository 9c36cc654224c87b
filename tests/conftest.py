"""What every test shares: real texts where they are present, a cache of its own, few threads."""

import os
import signal
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


LONGEST = ("test_guides.py", "test_known_truth.py", "test_killed.py", "test_methods.py")
"""Files with the longest tests, which begin first, so that no process waits for one at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of ``LONGEST`` first; the order within a file stays."""
    items.sort(key=lambda item: item.path.name not in LONGEST)
