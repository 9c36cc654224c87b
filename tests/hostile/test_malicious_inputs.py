"""Tokenizers, texts, lists and compressed files made to harm: each is refused in little time and
memory, by an error that names it.
"""

import gzip
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import charlm
from charlm.config import DataConfig
from charlm.data.formats.listing import Listing
from charlm.data.formats.nbest import open_nbest
from charlm.data.formats.pairs import PairList
from charlm.data.formats.references import read_references
from charlm.data.formats.regions import RegionTable, column_names
from charlm.data.sources.corpora import open_corpus
from charlm.data.tokenizers import kinds
from charlm.inference.compression.archive import FORMAT, LAYOUT, MAGIC, read_archive
from charlm.inference.compression.files import read_input
from charlm.storage.integrity import digest
from tests.hostile.limits import MEMORY, SECONDS, Trap, limited, refused

torch.set_num_threads(1)
pytestmark = pytest.mark.timeout(240)


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
