"""What appears under its final name is whole; a failed write leaves the old and no rubbish."""

import os
import stat
from pathlib import Path

import pytest

from charlm import durable


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for text in ("one\r\n", "zwei ü"):
        durable.write_text(path, text)
        assert path.read_bytes() == text.encode()
    assert names(tmp_path) == ["a"]


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        durable.write_text(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("operation", ["fsync", "replace"])
def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    path = tmp_path / "a"
    durable.write_text(path, "old")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((os, "fsync") if operation == "fsync" else (Path, "replace")), fail)
    with pytest.raises(OSError, match="No space"):
        durable.write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_a_file_is_synced_before_it_gets_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        order.append("sync folder" if folder else "sync file")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        order.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    durable.write_text(tmp_path / "a", "x")
    assert order == ["sync file", "name", "sync folder"]


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder"

    def fill(fail: bool) -> None:
        with durable.write_folder(target) as temporary:
            (temporary / "inner").mkdir()
            (temporary / "inner" / "file").write_text("x")
            assert not target.exists()
            if fail:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fill(fail=True)
    assert names(tmp_path) == []
    fill(fail=False)
    assert (target / "inner" / "file").read_text() == "x"
    assert names(tmp_path) == ["folder"]
