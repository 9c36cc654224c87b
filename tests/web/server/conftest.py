"""The model that is served."""

from pathlib import Path

import pytest

import charlm
from charlm.api.model import Model


@pytest.fixture(scope="module")
def model(runs: Path) -> Model:
    return charlm.load(runs / "lstm")
