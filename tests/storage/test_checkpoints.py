"""A checkpoint is whole or absent, and what is damaged is noticed."""

import errno
import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from charlm import durable
from charlm.errors import CheckpointError
from charlm.storage import integrity
from charlm.storage.checkpoints import (
    list_checkpoints,
    prune,
    read_checkpoint,
    read_state,
    settle,
    write_checkpoint,
)
from tests.hostile.loader import sign

MODEL = {"weight": torch.arange(6.0).reshape(2, 3)}
TRAIN = {"optimizer/weight/step": torch.tensor(3.0), "state/0/0": torch.ones(2, 2)}
STATE = {"counters": {"step": 7, "loss": 0.5}}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path, 7, MODEL, TRAIN, STATE)


def test_what_was_written_comes_back(saved: Path) -> None:
    found = read_checkpoint(saved)
    assert found.step == 7
    assert torch.equal(found.model["weight"], MODEL["weight"])
    assert torch.equal(found.train["state/0/0"], TRAIN["state/0/0"])
    assert found.state["counters"] == STATE["counters"]


FILES = ("model.safetensors", "train.safetensors", "state.json", "manifest.json")


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_and_every_truncation_is_noticed(saved: Path, name: str) -> None:
    path = saved / name
    content = path.read_bytes()
    generator = torch.Generator().manual_seed(1)
    places = torch.randint(8 * len(content), (300,), generator=generator).tolist()
    unnoticed = 0
    for place in places:
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        unnoticed += reads_something_else(saved)
    for length in (0, 1, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        unnoticed += reads_something_else(saved)
    path.write_bytes(content)
    assert unnoticed == 0
    assert read_checkpoint(saved).step == 7


def reads_something_else(folder: Path) -> bool:
    """Whether damage led to other content; an error, or a flip that changes nothing, is fine."""
    try:
        found = read_checkpoint(folder)
    except CheckpointError:
        return False
    same = torch.equal(found.model["weight"], MODEL["weight"]) and found.step == 7
    return not (same and found.state["counters"] == STATE["counters"])


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(saved)


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 1, "files": []}',
        "[" * 5000,
        "nul",
        '"x"',
        '{"format": 1, "files": {"model.safetensors": 5}}',
        '{"format": "1", "files": {}}',
    ],
)
def test_a_manifest_that_is_none_is_refused(saved: Path, manifest: str) -> None:
    (saved / "manifest.json").write_text(manifest)
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(saved)


def test_a_newer_format_is_refused_as_newer(saved: Path) -> None:
    path = saved / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(CheckpointError, match="newer charlm"):
        read_checkpoint(saved)


def test_a_link_in_place_of_a_file_is_refused(saved: Path, tmp_path: Path) -> None:
    path = saved / "model.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="damaged"):
        read_checkpoint(saved)


def test_a_failed_write_leaves_nothing_and_harms_nothing(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "sync_file", full)
    with pytest.raises(CheckpointError, match="No space left") as caught:
        write_checkpoint(saved.parent, 8, MODEL, TRAIN, STATE)
    assert "MB of disk space" in caught.value.hint
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    assert read_checkpoint(saved).step == 7


def test_pruning_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    for step in (10, 20, 30, 40):
        write_checkpoint(tmp_path, step, MODEL, TRAIN, STATE)
    prune(tmp_path, keep={20})
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step-00000020",
        "step-00000030",
        "step-00000040",
    ]


def test_only_our_own_leftovers_are_removed(saved: Path) -> None:
    folder = saved.parent
    (folder / f"step-00000008{durable.TEMPORARY_MARK}1-ab").mkdir()
    (folder / "notes.tmp").write_text("mine")
    settle(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["notes.tmp", saved.name]


def test_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_000, 5):
        write_checkpoint(tmp_path, step, MODEL, TRAIN, STATE)
    assert [read_checkpoint(path).step for path in list_checkpoints(tmp_path)] == [
        5,
        99_999_999,
        100_000_000,
    ]


def test_a_file_of_another_size_is_refused_without_reading_it(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.truncate(saved / "model.safetensors", 1 << 40)
    read_file = integrity.read_file

    def small(path: Path, limit: int) -> bytes:
        assert limit < 1 << 30, "a terabyte is read"
        return read_file(path, limit)

    def never(*arguments: object) -> None:
        raise AssertionError("a terabyte is read")

    monkeypatch.setattr(integrity, "read_file", small)
    monkeypatch.setattr(hashlib, "file_digest", never)
    assert not integrity.is_whole(saved)
    with pytest.raises(CheckpointError, match=r"model\.safetensors is not a file of \d+ bytes"):
        read_checkpoint(saved)


def test_a_link_is_no_checkpoint(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "step-00000009").symlink_to(saved)
    assert list_checkpoints(tmp_path) == [saved]


def test_a_damaged_replacement_never_takes_the_place_of_a_whole_checkpoint(saved: Path) -> None:
    again = saved.with_name(f"{saved.name}-again")
    shutil.copytree(saved, again)
    (again / "state.json").write_bytes(b"{}")
    settle(saved.parent)
    assert read_checkpoint(saved).step == 7
    assert (again / "state.json").read_bytes() == b"{}"  # nor is what is damaged removed


def test_a_checkpoint_found_whole_is_read_again_only_after_it_has_changed(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = integrity.verify

    def counted(path: Path, size: int, sha256: str) -> None:
        read.append(path.name)
        original(path, size, sha256)

    monkeypatch.setattr(integrity, "verify", counted)
    assert integrity.is_whole(saved)
    first = len(read)
    assert first >= 3
    assert integrity.is_whole(saved)
    assert len(read) == first
    content = bytearray((saved / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (saved / "model.safetensors").write_bytes(content)
    assert not integrity.is_whole(saved)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("model.safetensors", (1 << 21).to_bytes(8, "little") + bytes(99), "header of more than"),
        ("model.safetensors", bytes(8) + b"no tensors", "model.safetensors: "),
        ("train.safetensors", b"", "train.safetensors: "),
        ("state.json", b"[]", "damaged"),
        ("state.json", b'{"step": []}', "damaged"),
    ],
)
def test_a_file_of_another_form_is_damage_though_its_manifest_agrees(
    saved: Path, name: str, content: bytes, why: str
) -> None:
    (saved / name).write_bytes(content)
    sign(saved / name)
    integrity.WHOLE.clear()
    readers = [read_checkpoint] if "safetensors" in name else [read_checkpoint, read_state]
    for read in readers:
        with pytest.raises(CheckpointError, match=why) as caught:
            read(saved)
        assert not isinstance(caught.value, integrity.UnreadableError)
        assert str(saved) in str(caught.value)


def test_a_folder_that_cannot_be_listed_now_is_not_taken_for_empty(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> list[str]:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "listdir", refuse)
    with pytest.raises(integrity.UnreadableError, match="Permission denied"):
        list_checkpoints(saved.parent)
    monkeypatch.undo()
    assert list_checkpoints(saved.parent / "nothing") == []
