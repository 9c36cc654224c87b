"""A store holds exactly the tokens and counts it was given, and a damaged one is refused."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from charlm.data.preparation.counting import Counts
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.preparation.store import PartWriter, open_store, read_summary, write_summary
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import CorpusError

PARTS = [("ab b", True), ("a\n", False), ("b", True)]


def written(folder: Path, tokenizer: Tokenizer) -> Path:
    with PartWriter(folder, "train", tokenizer) as writer:
        for text, starts in PARTS:
            writer.add(EncodedPiece(tokenizer.encode(text), text, starts))
    write_summary(folder, tokenizer, {"train": writer.counts}, {"notes": []})
    return folder


@pytest.mark.parametrize("tokenizer", [CharTokenizer("ab \n"), ByteTokenizer()])
def test_documents_stand_between_boundaries(tokenizer: Tokenizer, tmp_path: Path) -> None:
    store = open_store(written(tmp_path, tokenizer), "train")
    first, second = tokenizer.encode("ab ba\n").tolist(), tokenizer.encode("b").tolist()
    assert store.tokens.tolist() == [0, *first, 0, *second, 0]
    assert store.tokens.dtype == tokenizer.dtype
    assert store.counts == Counts(documents=2, tokens=7, chars=7, bytes=7, words=3)


@pytest.mark.parametrize("by_the_disk", [False, True])
def test_a_flipped_bit_is_noticed_where_it_matters(by_the_disk: bool, tmp_path: Path) -> None:
    path = written(tmp_path, ByteTokenizer()) / "train.bin"
    content, before = bytearray(path.read_bytes()), path.stat()
    content[3] ^= 1
    path.write_bytes(content)
    if by_the_disk:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        open_store(tmp_path, "train")  # quick: by size and date
    else:
        os.utime(path, ns=(1, 1))
        with pytest.raises(CorpusError, match=r"train.bin has changed since it was written"):
            open_store(tmp_path, "train")
    with pytest.raises(CorpusError, match=r"train.bin has changed since it was written"):
        open_store(tmp_path, "train", whole=True)


def test_a_copied_store_and_one_without_hashes_are_read(tmp_path: Path) -> None:
    written(tmp_path, ByteTokenizer())
    os.utime(tmp_path / "train.bin", ns=(1, 1))
    expected = open_store(tmp_path, "train").tokens.tolist()
    summary = json.loads((tmp_path / "store.json").read_text())
    assert summary.pop("files")["train"]["sha256"]
    (tmp_path / "store.json").write_text(json.dumps(summary))
    assert open_store(tmp_path, "train", whole=True).tokens.tolist() == expected


def test_a_mapped_file_that_was_cut_short_is_noticed_before_it_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, ByteTokenizer()) / "train.bin"
    mapped, held = open_store(tmp_path, "train"), open_store(tmp_path, "train", whole=True)
    mapped.check_length()
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(CorpusError, match=r"train\.bin was cut short while in use"):
        mapped.check_length()
    held.check_length()  # in memory, so that nothing can happen to it
    path.unlink()
    mapped.check_length()  # the system keeps what is mapped


def test_tokens_cannot_be_changed_through_the_map(tmp_path: Path) -> None:
    tokens = open_store(written(tmp_path, ByteTokenizer()), "train").tokens
    assert type(tokens) is np.ndarray
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


def test_tokens_are_little_endian_on_disk(tmp_path: Path) -> None:
    content = (written(tmp_path, ByteTokenizer()) / "train.bin").read_bytes()
    assert content[:6] == bytes([0, 0, ord("a") + 1, 0, ord("b") + 1, 0])


def test_wide_vocabularies_take_four_bytes(tmp_path: Path) -> None:
    tokenizer = WordTokenizer([f"w{n}" for n in range(70_000)], end_of_line=False)
    text = "w69999 w0"
    with PartWriter(tmp_path, "valid", tokenizer) as writer:
        writer.add(EncodedPiece(tokenizer.encode(text), text, starts=True))
    write_summary(tmp_path, tokenizer, {"valid": writer.counts}, {})
    assert open_store(tmp_path, "valid").tokens.tolist() == [0, 70_001, 2, 0]
    assert read_summary(tmp_path)["dtype"] == "<u4"


def test_the_summary_names_what_made_the_tokens(tmp_path: Path) -> None:
    summary = read_summary(written(tmp_path, ByteTokenizer()))
    assert summary["tokenizer"] == ByteTokenizer().digest()
    assert summary["dtype"] == "<u2"
    assert summary["parts"]["train"]["tokens"] == 7


def test_a_part_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="counts of valid"):
        open_store(written(tmp_path, ByteTokenizer()), "valid")


@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_of_another_size_is_refused(tmp_path: Path, change: int) -> None:
    path = written(tmp_path, ByteTokenizer()) / "train.bin"
    content = path.read_bytes()
    path.write_bytes(content[:change] if change < 0 else content + b"\0")
    with pytest.raises(CorpusError, match=r"train\.bin has not the size"):
        open_store(tmp_path, "train")
    path.unlink()
    with pytest.raises(CorpusError, match=r"train\.bin cannot be read"):
        open_store(tmp_path, "train")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), 2),
        (("dtype",), "<f8"),
        (("dtype",), None),
        (("parts",), []),
        (("parts", "train"), None),
        (("parts", "train", "tokens"), "7"),
        (("parts", "train", "tokens"), 7.0),
        (("parts", "train", "tokens"), -1),
        (("parts", "train", "tokens"), True),
        (("parts", "train", "chars"), None),
        (("parts", "train", "magic"), 1),
    ],
)
def test_a_summary_that_says_something_else_is_refused(
    tmp_path: Path, place: tuple[str, ...], value: object
) -> None:
    path = written(tmp_path, ByteTokenizer()) / "store.json"
    summary = json.loads(path.read_text())
    table = summary
    for name in place[:-1]:
        table = table[name]
    table[place[-1]] = value
    path.write_text(json.dumps(summary))
    with pytest.raises(CorpusError) as caught:
        open_store(tmp_path, "train")
    assert caught.value.hint


@pytest.mark.parametrize("content", [None, "", "[]", "[" * 100_000, "\0"])
def test_a_summary_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    path = written(tmp_path, ByteTokenizer()) / "store.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(CorpusError):
        open_store(tmp_path, "train")
