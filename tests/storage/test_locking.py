"""A run folder has one trainer at a time, and says why where it cannot be locked."""

import threading
import time
from pathlib import Path

import pytest

from charlm.errors import CheckpointError
from charlm.storage.locking import LOCK, lock


def test_only_one_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(seconds: float) -> None:
        raise AssertionError("a run that is in use is refused at once")

    monkeypatch.setattr(time, "sleep", waits)
    with lock(tmp_path):
        caught: list[Exception] = []

        def second() -> None:
            try:
                lock(tmp_path)
            except CheckpointError as error:
                caught.append(error)

        thread = threading.Thread(target=second)
        thread.start()
        thread.join(timeout=10)
        assert "in use" in str(caught[0])
    with lock(tmp_path):  # free again
        pass


def test_a_folder_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(CheckpointError, match="cannot be locked for training: Is a dir") as caught:
        lock(tmp_path)
    assert str(tmp_path) in str(caught.value)
