"""Files made to harm: each is refused in a second and 200 MB, by an error that names it."""

import gzip
import json
import os
import pickle
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import safetensors.numpy
import torch

import charlm
from charlm.config import Config, DataConfig, read_toml
from charlm.data.formats.listing import Listing
from charlm.data.formats.nbest import open_nbest
from charlm.data.formats.pairs import PairList
from charlm.data.formats.references import read_references
from charlm.data.formats.regions import RegionTable, column_names
from charlm.data.sources.corpora import open_corpus
from charlm.data.tokenizers import kinds
from charlm.inference.compression.archive import FORMAT, LAYOUT, MAGIC, read_archive
from charlm.inference.compression.files import read_input
from charlm.inference.loading import load_run
from charlm.storage.checkpoints import list_checkpoints
from charlm.storage.integrity import digest
from charlm.storage.run import open_run
from charlm.storage.summary import summarise_run
from tests.hostile.fuzzing import sign
from tests.hostile.limits import MEMORY, SECONDS, Outcome, limited

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


def refused(action: Callable[[], object], *words: str) -> Outcome:
    """``action`` ends in a declared error with these words in it, soon and in little memory."""
    outcome = limited(action)
    assert outcome.declared, outcome
    assert all(word in outcome.message for word in words), outcome.message
    assert outcome.seconds < SECONDS, outcome
    assert outcome.bytes < MEMORY, outcome
    return outcome


class Trap:
    """What calls a function when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("sprung",)


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


DEFINITIONS = {
    "a pickle": pickle.dumps(Trap()),
    "deep": b"[" * 1_000_000,
    "ten million words": b'{"format": 1, "kind": "word", "end_of_line": false, "symbols": ["'
    + b'","'.join([b"ab"] * 10_000_000) + b'"]}',
    "ten million equal letters": b'{"format": 1, "kind": "char", "symbols": ["'
    + b'","'.join([b"a"] * 10_000_000) + b'"]}',
    "ten million lists": b'{"format": 1, "symbols": [' + b"[]," * 10_000_000 + b"[]]}",
    "ten million numbers": b'{"format": 1, "symbols": [' + b"1.5," * 10_000_000 + b"1]}",
    "a word of 60 MB": b'{"format": 1, "kind": "char", "symbols": ["' + b"a" * 60_000_000 + b'"]}',
}  # fmt: skip


@pytest.mark.parametrize("kind", DEFINITIONS)
def test_tokenizers_that_fill_the_memory(kind: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(DEFINITIONS[kind])
    refused(lambda: kinds.load(tmp_path), "tokenizer.json")
    assert not Path("sprung").exists()


def varint(number: int) -> bytes:
    """A number as protocol buffers write it."""
    found = b""
    while number > 127:
        found, number = found + bytes([number & 127 | 128]), number >> 7
    return found + bytes([number])


@pytest.mark.parametrize("piece", [b"a" * 200_000, b"", b"\xff", b"<0x41>", b"\0"])
def test_a_foreign_piece_of_sentencepiece(piece: bytes, tmp_path: Path) -> None:
    config = charlm.config.TokenizerConfig(kind="bpe", vocab_size=300)
    trainer = kinds.tokenizer_trainer(config)
    trainer.add("the cat sat on the mat\n" * 20)
    trainer.finish()[0].save(tmp_path)
    model, definition = tmp_path / "tokenizer.model", tmp_path / "tokenizer.json"
    entry = b"\x0a" + varint(len(piece)) + piece + b"\x15" + struct.pack("<f", -1.0)
    content = model.read_bytes() + b"\x0a" + varint(len(entry)) + entry
    model.write_bytes(content)
    table = json.loads(definition.read_text()) | {"model_sha256": digest(content)}
    definition.write_text(json.dumps(table))
    if piece == b"\0":  # an odd piece, but one that can be encoded and decoded
        tokenizer = kinds.load(tmp_path)
        assert tokenizer.decode(tokenizer.encode("a\0cat\u2581")) == "a\0cat\u2581"
    else:
        refused(lambda: kinds.load(tmp_path), str(tmp_path))


def bomb(path: Path, head: bytes, block: bytes, size: int = 2 << 30) -> Path:
    """A file packed by gzip that becomes ``size`` bytes: ``head``, then ``block`` repeated."""
    times = max(1, (1 << 22) // len(block))
    member = gzip.compress(block * times, 1)
    with path.open("wb") as file:
        file.write(gzip.compress(head))
        for _ in range(size // (times * len(block))):
            file.write(member)
    return path


def read_all(path: Path) -> None:
    """Read a text to its end."""
    for _ in open_corpus([str(path)], DataConfig()).pieces():
        pass


BOMBS = {
    "a row of JSON": ("b.jsonl.gz", b'{"text": "', b"a"),
    "a deep row of JSON": ("b.jsonl.gz", b"", b'{"text":'),
    "a list of lists": ("b.json.gz", b"[[", b"[],"),
    "one text in a list": ("b.json.gz", b'["', b"a"),
    "a deep list": ("b.json.gz", b"[", b"["),
    "a cell of CSV": ("b.csv.gz", b'text\n"', b"a"),
    "a cell of many lines": ("b.csv.gz", b'text\n"', b"a\n"),
    "a header of many columns": ("b.csv.gz", b"a,b", b",a"),
    "a cell of TSV": ("b.tsv.gz", b'text\tb\n"', b"a"),
    "a cell of TSV over lines": ("b.tsv.gz", b'text\tb\n"', b'a""b\n'),
    "quotes of TSV over lines": ("b.tsv.gz", b'text\tb\n"', b'a"b\n'),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_two_gigabytes_in_two_megabytes(kind: str, tmp_path: Path) -> None:
    name, head, block = BOMBS[kind]
    path = bomb(tmp_path / name, head, block)
    outcome = limited(lambda: read_all(path))
    assert outcome.declared, outcome
    assert name in outcome.message
    assert outcome.bytes < MEMORY, outcome
    assert outcome.seconds < 5 * SECONDS, outcome  # up to 32 million characters are read first


LISTS: dict[str, Callable[[Path], object]] = {
    "n-best": lambda path: open_nbest(path),
    "references": lambda path: read_references(path, "kaldi"),
    "pairs": lambda path: list(PairList([Listing(str(path))])),
    "regions": lambda path: list(RegionTable(Listing(str(path)), column_names([]))),
}


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("block", [b"a", b"[", b'{"a":', b"\t", b'"'])
def test_lists_of_one_line(kind: str, block: bytes, tmp_path: Path) -> None:
    path = bomb(tmp_path / "b.txt.gz", b'{"text":' if block == b"[" else b"", block, 1 << 28)
    refused(lambda: LISTS[kind](path), "b.txt.gz")


@pytest.mark.parametrize("kind", [*LISTS, "text", "compressed"])
@pytest.mark.parametrize("name", ["/dev/zero", "/dev/full", "a\0b", "\udcff\n\x1b[31m", "x" * 5000])
def test_devices_and_names_that_are_none(kind: str, name: str) -> None:
    actions = LISTS | {
        "text": lambda path: open_corpus([str(path)], DataConfig()),
        "compressed": lambda path: read_input(Path(path)),
    }
    refused(lambda: actions[kind](Path(name)))


@pytest.fixture
def written_pipe(tmp_path: Path) -> Iterator[Path]:
    """A pipe with a name, into which a process writes two hypotheses."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    child = os.fork()
    if child == 0:
        try:
            path.write_bytes(b"u1 -1.0 the cat\nu2 -2.0 a dog\n")
        finally:
            os._exit(0)
    yield path
    os.waitpid(child, 0)


def test_a_pipe_that_is_written_into_is_read_once_and_kept(written_pipe: Path) -> None:
    opened = open_nbest(written_pipe)
    assert [[each.text for each in found.hypotheses] for found in opened.lists()] == [
        ["the cat"], ["a dog"],
    ]  # fmt: skip


def compressed(tokens: int, lanes: int, length: int, coded: int = 0) -> bytes:
    """A header of these numbers with a checksum that agrees."""
    head = LAYOUT.pack(
        MAGIC, FORMAT, 0, lanes, 0, tokens, length, coded, 1, bytes(32), bytes(12)
    )  # fmt: skip
    inner = head + b"run\0machine\0" + bytes(8)
    return inner + struct.pack("<I", zlib.crc32(inner))


@pytest.mark.parametrize(
    "numbers",
    [
        (1, 1025, 9), (1, 65535, 9), (1, 0, 9), (2**32 - 1, 1, 9), (12, 1, 10),
        (1, 1, 9, 9), (1, 1, 9, 2**32 - 1),
    ],
)  # fmt: skip
def test_compressed_files_that_claim_too_much(numbers: tuple[int, ...]) -> None:
    refused(lambda: read_archive(compressed(*numbers), "a.charlm"), "a.charlm")
    assert read_archive(compressed(10, 1024, 9), "a.charlm").tokens == 10


def test_a_state_of_many_values(run: Path) -> None:
    path = run / CHECKPOINT / "state.json"
    path.write_bytes(b'{"step": 1, "a": [' + b"[]," * 3_000_000 + b"[]]}")
    sign(path)
    refused(lambda: load_run(run), "state", str(run))
    assert list_checkpoints(run / "checkpoints") == [run / CHECKPOINT]  # nothing was deleted
