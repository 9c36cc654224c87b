"""Run folders made to harm: each is refused in a second and 200 MB, by an error that names it."""

import json
import os
import pickle
import shutil
import struct
from pathlib import Path

import pytest
import safetensors.numpy
import torch

import charlm
from charlm.config import Config, read_toml
from charlm.data.tokenizers import kinds
from charlm.inference.loading import load_run
from charlm.storage.checkpoints import list_checkpoints
from charlm.storage.run import open_run
from charlm.storage.summary import summarise_run
from tests.hostile.limits import MEMORY, SECONDS, Trap, limited, refused
from tests.hostile.loader import sign

torch.set_num_threads(1)
pytestmark = pytest.mark.timeout(240)
CHECKPOINT = Path("checkpoints", "step-00000001")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small run of one step."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "text.txt").write_text("the cat sat on the mat é\n" * 20, encoding="utf-8")
    small = {"steps": 1, "hidden_size": 4, "batch_size": 2, "bptt": 8, "device": "cpu"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CHARLM_CACHE", str(folder / "cache"))
        for _ in charlm.train(folder / "text.txt", out=folder / "run", **small):
            pass
    return folder / "run"


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """The run, to be made hostile."""
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def empty_tensors() -> bytes:
    """A header that names 200,000 tensors without a number."""
    entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"t{number}": entry for number in range(200_000)}).encode()
    return struct.pack("<Q", len(header)) + header


def header(size: int, content: bytes = b"{}") -> bytes:
    """A safetensors file that claims a header of ``size`` bytes."""
    return struct.pack("<Q", size) + content


def shaped(shape: bytes) -> bytes:
    """A safetensors file of one number whose header claims a ``shape``."""
    entry = b'{"a": {"dtype": "F32", "shape": ' + shape + b', "data_offsets": [0, 4]}}'
    return header(len(entry), entry + bytes(4))


WEIGHTS = {
    "a pickle": pickle.dumps(Trap()),
    "a header of 8 EiB": header(2**63),
    "a header of 20 MB": header(20 << 20, b" " * (20 << 20)),
    "a deep header": header(200_000, b"[" * 200_000),
    "200,000 empty tensors": empty_tensors(),
    "a tensor of 4 EB": shaped(b"[1000000000000000000]"),
    "a shape that overflows": shaped(b"[4294967296, 4294967296, 2]"),
    "names of other files": safetensors.numpy.save({"../../x": torch.zeros(2).numpy()}),
}  # fmt: skip


@pytest.mark.parametrize("name", ["model.safetensors", "train.safetensors"])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_are_a_trap(kind: str, name: str, run: Path) -> None:
    path = run / CHECKPOINT / name
    path.write_bytes(WEIGHTS[kind])
    sign(path)
    if name == "train.safetensors" and kind == "names of other files":
        return  # looked at by name alone, and only where training goes on
    refused(lambda: load_run(run), str(run))
    assert not Path("sprung").exists()


SPECIAL = ["run.toml", "best.json", "log.jsonl", ".lock", "tokenizer/tokenizer.json"]
SPECIAL += [str(CHECKPOINT / name) for name in ("manifest.json", "state.json", "model.safetensors")]


def use_all(run: Path) -> None:
    """Everything that reads a run."""
    opened = open_run(run)
    opened.tokenizer()
    opened.checkpoint()
    opened.best()
    summarise_run(opened)


@pytest.mark.parametrize("kind", ["pipe", "device", "link", "folder", "link to a device"])
@pytest.mark.parametrize("name", SPECIAL)
def test_what_is_no_file_is_never_opened_for_one(name: str, kind: str, run: Path) -> None:
    path, outside = run / name, run.parent / "outside"
    outside.write_bytes(path.read_bytes() if path.exists() else b"kept")
    kept = outside.read_bytes()
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(outside if kind == "link" else "/dev/full")
    outcome = limited(lambda: use_all(run))
    # A best.json that is none is only a hint that is missing.
    assert outcome.declared or (not outcome.kind and name == "best.json"), outcome
    assert outcome.seconds < SECONDS, outcome
    assert outcome.bytes < MEMORY, outcome
    assert outside.read_bytes() == kept


def test_a_manifest_of_no_bytes_in_a_pipe_does_not_wait_for_a_writer(run: Path) -> None:
    path = run / CHECKPOINT / "model.safetensors"
    path.write_bytes(b"")
    sign(path)
    path.unlink()
    os.mkfifo(path)
    refused(lambda: load_run(run), "model.safetensors")


@pytest.mark.parametrize("name", ["checkpoints", "tokenizer", "checkpoints/step-00000001"])
def test_folders_outside_of_the_run_are_not_followed(name: str, run: Path) -> None:
    outside = run.parent / "outside"
    (run / name).rename(outside)
    (run / name).symlink_to(outside)
    refused(lambda: load_run(run), str(run))


def test_training_does_not_write_through_a_link(run: Path, made: Path) -> None:
    victim = run.parent / "victim.txt"
    victim.write_text("precious")
    (run / "log.jsonl").unlink()
    (run / "log.jsonl").symlink_to(victim)
    refused(lambda: list(charlm.train(out=run)), "log.jsonl")
    assert victim.read_text() == "precious"


SETTINGS = {
    "a key of 250,000 parts": b"a" + b".a" * 250_000 + b" = 1",
    "a deep list": b"a = " + b"[" * 500_000,
    "deep tables": b"a = " + b"{a=" * 170_000,
    "a number of 500,000 digits": b"a = " + b"9" * 500_000,
    "a number of 2,000,000 bits": b"[training]\nsteps = 0x" + b"f" * 500_000,
    "a word of 500,000 letters": b"a" * 500_000 + b" = 1",
    "a megabyte": b"#" * (1 << 20),
    "no UTF-8": b"\xff\xfe = 1",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_that_take_time(kind: str, run: Path) -> None:
    (run / "run.toml").write_bytes(SETTINGS[kind])
    refused(lambda: open_run(run), "run.toml")
    if kind != "nothing":
        refused(lambda: Config.from_tables(read_toml(run / "run.toml")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hidden_size = 4", "hidden_size = 65536"),
        ("hidden_size = 4", "hidden_size = 99999999999"),
        ("num_layers = 1", "num_layers = 64"),
        ("num_layers = 1", "num_layers = 0x7fffffffffffffff"),
        ('kind = "recurrent"', 'kind = "ngram"'),
        ("softmaxes = 1", "softmaxes = 64"),
        ("mogrifier_rounds = 0", "mogrifier_rounds = 64"),
    ],
)
def test_absurd_sizes_in_settings(old: str, new: str, run: Path) -> None:
    path = run / "run.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    refused(lambda: load_run(run), str(run))


def test_a_sparse_file_of_a_terabyte_is_not_read(run: Path) -> None:
    for name in ("run.toml", "tokenizer/tokenizer.json", "best.json"):
        os.truncate(run / name, 1 << 40)
    refused(lambda: open_run(run), "run.toml")
    refused(lambda: kinds.load(run / "tokenizer"), "tokenizer.json")


@pytest.mark.parametrize("name", ["model.safetensors", "state.json", "manifest.json"])
def test_a_file_larger_than_its_manifest_says_is_not_read(name: str, run: Path) -> None:
    os.truncate(run / CHECKPOINT / name, 1 << 40)
    refused(lambda: load_run(run), name)


def test_a_state_of_many_values(run: Path) -> None:
    path = run / CHECKPOINT / "state.json"
    path.write_bytes(b'{"step": 1, "a": [' + b"[]," * 3_000_000 + b"[]]}")
    sign(path)
    refused(lambda: load_run(run), "state", str(run))
    assert list_checkpoints(run / "checkpoints") == [run / CHECKPOINT]  # nothing was deleted
