"""What the tests of the native path share."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from charlm.model.native import build
from charlm.model.native.library import VARIANTS, Kernels, Unavailable, load


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a library compiled just now."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler: the native path is not tested")
    made = tmp_path_factory.mktemp("native")
    reason = build.compile_library(made)
    if reason is not None and reason.startswith("not built on"):
        pytest.skip(f"{reason}: the native path is not tested")
    assert reason is None
    return made


@pytest.fixture(params=VARIANTS.values())
def kernels(request: pytest.FixtureRequest, compiled: Path) -> Kernels:
    """The kernels of each variant that this processor can run."""
    try:
        return load(compiled, forced=request.param)
    except Unavailable as reason:
        pytest.skip(f"{request.param}: {reason}")


@pytest.fixture
def threads() -> Iterator[None]:
    """Gives torch its number of threads back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
