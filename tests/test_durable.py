"""What appears under its final name is whole; a failed write leaves the old and no rubbish."""

import errno
import io
import os
import shutil
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from charlm import durable, errors
from charlm.errors import CorpusError


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


def test_what_a_user_names_is_replaced_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "a"
    durable.write_output(path, b"one")
    for force, way_out in ((None, "remove it first"), (False, "`force=True`")):
        with pytest.raises(CorpusError, match="a exists already") as raised:
            durable.write_output(path, b"two", force=force)
        assert way_out in raised.value.hint
    assert path.read_bytes() == b"one"
    durable.write_output(path, iter([b"t", b"wo"]), force=True)
    assert (path.read_bytes(), names(tmp_path)) == (b"two", ["a"])


@pytest.mark.parametrize("force", [None, True])
def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path: Path, force: bool | None) -> None:
    path, found = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    durable.write_output(path, b"through" * 30_000, force=force)
    reader.join()
    assert found == [b"through" * 30_000]
    assert (names(tmp_path), path.is_fifo()) == (["pipe"], True)


def test_a_device_behind_a_link_stays_a_device(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    durable.write_output(tmp_path / "null", b"gone", force=True)
    assert (tmp_path / "null").is_symlink()
    assert Path("/dev/null").is_char_device()


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    durable.write_output(tmp_path / "link", b"one")
    durable.write_output(tmp_path / "link", b"two", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"two"


def test_what_cannot_be_written_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    (tmp_path / "file").touch()
    for name, cause in {
        ".": "is a folder",
        "none/a": "there is no folder none",
        "file/a": "there is no folder file",
        "socket": "is no file",
        "x" * 300: "File name too long",
        "a\0b": "is the name of no file",
        "/dev/full": "No space left",
    }.items():
        with pytest.raises(CorpusError, match=cause) as raised:
            durable.write_output(Path(name), b"x" * 100_000, force=True)
        assert any(word in raised.value.hint for word in ("file", "`out`", "shorter name"))
    assert stat.S_ISSOCK(os.stat("socket").st_mode)  # noqa: PTH116


def test_only_what_ended_processes_left_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "file[1].txt"
    mark = durable.TEMPORARY_MARK
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = [f"{path.name}{mark}{ended.pid}-ab-cd", f"{path.name}{mark}{os.getpid()}-other-cd"]
    (tmp_path / left[0]).mkdir()
    (tmp_path / left[0] / "half.txt").write_text("half")
    (tmp_path / left[1]).write_text("half")  # of an earlier process with this one's number
    kept = [
        durable.temporary_name(path).name,
        f"{path.name}{mark}1-ab-cd",  # a process that runs
        f"{path.name}{mark}notes",
        f"{path.name}{mark}²-ab-cd",  # a digit to str.isdigit, and no number
        f"another.txt{mark}{ended.pid}-ab-cd",
    ]
    for name in kept:
        (tmp_path / name).write_text("half")
    durable.write_output(path, b"whole")
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([path.name, *kept])


def test_an_error_of_a_write_names_the_file_and_not_a_temporary_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    path = tmp_path / "best.json"
    for write in (lambda: durable.write_text(path, "{}"), lambda: durable.append(path, sync=True)):
        with pytest.raises(OSError, match="Input/output") as caught:
            write()
        assert errors.describe(caught.value) == f"{path}: {os.strerror(errno.EIO)}"
        assert "check the disk" in errors.way_out(caught.value)


def test_a_file_is_never_cut_to_more_than_it_has(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"one\ntwo\n")
    durable.cut(path, 100)
    assert path.read_bytes() == b"one\ntwo\n"
    durable.cut(path, 4)
    assert path.read_bytes() == b"one\n"


def test_a_line_that_fits_only_half_is_not_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(io.FileIO):
        def write(self, content: bytes) -> int:  # type: ignore[override]
            return super().write(content[: len(content) // 2])

    path = tmp_path / "log.jsonl"
    path.write_bytes(b"one\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, mode, buffering: Full(self, mode))
        with pytest.raises(OSError, match="No space left"):
            durable.append(path, b"two\n")
    assert path.read_bytes() == b"one\n"
    durable.append(path, b"two\n")
    assert path.read_bytes() == b"one\ntwo\n"


def test_a_folder_loses_its_name_before_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    seen: list[str] = []
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: seen.append(path.name))
    durable.remove_folder(tmp_path / "a")
    assert not (tmp_path / "a").exists()
    assert seen[0].startswith(f"a{durable.TEMPORARY_MARK}")


@pytest.mark.parametrize("kind", [stat.S_IFBLK, stat.S_IFSOCK])
def test_a_disk_is_never_written_over(
    kind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "mode_of", lambda path: kind)
    with pytest.raises(CorpusError, match="a disk or a socket"):
        durable.check_output(tmp_path / "disk", force=True)
