"""A text is prepared once and exactly, and what cannot be prepared is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from charlm.config import DataConfig, TokenizerConfig
from charlm.data.preparation import building
from charlm.data.preparation import prepared as preparation
from charlm.data.preparation.prepared import (
    Prepared,
    Preparing,
    find_prepared,
    prepare,
    prepare_again,
)
from charlm.data.preparation.store import TokenStore
from charlm.errors import CorpusError

TEXT = "".join(f"line {n} of a small text, with words\r\n" for n in range(300))
KINDS = ("byte", "char", "word", "bpe", "unigram")
CHAR = TokenizerConfig(kind="char")


@pytest.fixture
def source(tmp_path: Path) -> str:
    path = tmp_path / "source.txt"
    path.write_bytes(TEXT.encode())
    return str(path)


def finished(data: DataConfig, tokenizer: TokenizerConfig, cache: Path) -> Prepared:
    *progress, last = prepare(data, tokenizer, cache)
    assert all(isinstance(record, Preparing) for record in progress)
    assert isinstance(last, Prepared)
    return last


def text_of(prepared: Prepared, store: TokenStore | None) -> str:
    assert store is not None
    return prepared.tokenizer.decode(store.tokens)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_hold_the_text_exactly(kind: str, source: str, own_cache: Path) -> None:
    prepared = finished(DataConfig(sources=(source,)), TokenizerConfig(kind=kind), own_cache)
    texts = [text_of(prepared, part) for part in (prepared.train, prepared.valid, prepared.test)]
    ends = [int(len(TEXT) * share) for share in (0.9, 0.95)]
    whole = [TEXT[: ends[0]], TEXT[ends[0] : ends[1]], TEXT[ends[1] :]]
    if kind == "word":
        assert [text.split() for text in texts] == [
            prepared.tokenizer.decode(prepared.tokenizer.encode(part)).split() for part in whole
        ]
    else:
        assert texts == whole
    for text, part in zip(whole, (prepared.train, prepared.valid, prepared.test), strict=True):
        assert part is not None
        counts = part.counts
        assert (counts.chars, counts.bytes) == (len(text), len(text.encode()))
        assert (counts.documents, counts.words) == (1, len(text.split()))
        assert counts.tokens == np.count_nonzero(part.tokens)


def test_tinyshakespeare_is_split_as_published(shared_data: Path, own_cache: Path) -> None:
    data = DataConfig(sources=(str(shared_data / "tinyshakespeare.txt"),), split=(90, 10))
    prepared = finished(data, CHAR, own_cache)
    assert prepared.train.counts.chars == 1_003_854
    assert prepared.valid is not None
    assert prepared.valid.counts.chars == 111_540
    assert prepared.test is None
    assert prepared.tokenizer.vocab_size == 65 + 2


def test_wikitext_2_is_prepared_as_published(shared_data: Path, own_cache: Path) -> None:
    folder = shared_data / "wikitext-2"
    data = DataConfig(
        sources=(str(folder / "train.txt"),),
        valid=(str(folder / "valid.txt"),),
        test=(str(folder / "test.txt"),),
    )
    prepared = finished(data, TokenizerConfig(kind="word"), own_cache)
    parts = (prepared.train, prepared.valid, prepared.test)
    tokens = [part.counts.tokens for part in parts if part is not None]
    assert tokens == [2_088_628, 217_646, 245_569]
    assert prepared.tokenizer.vocab_size == 33_278 + 1


def test_texts_of_their_own_replace_a_split(source: str, tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "held.txt").write_text("words of a line")
    data = DataConfig(sources=(source,), valid=(str(tmp_path / "held.txt"),))
    prepared = finished(data, CHAR, own_cache)
    assert text_of(prepared, prepared.train) == TEXT
    assert text_of(prepared, prepared.valid) == "words of a line"
    assert prepared.test is None


def test_each_file_is_a_document(tmp_path: Path, own_cache: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text(name * 20)
    prepared = finished(DataConfig(sources=(str(tmp_path),), split=(50, 50)), CHAR, own_cache)
    assert prepared.train.counts.documents == 2
    assert prepared.train.tokens.tolist().count(0) == 3
    assert prepared.valid is not None
    assert prepared.valid.counts.documents == 2  # the second half of b begins one


def test_the_tokenizer_knows_the_training_part_only(tmp_path: Path, own_cache: Path) -> None:
    (tmp_path / "t.txt").write_text("ab" * 45 + "XYZxyzabab")
    prepared = finished(DataConfig(sources=(str(tmp_path / "t.txt"),)), CHAR, own_cache)
    assert prepared.tokenizer.definition()["symbols"] == ["a", "b"]
    assert prepared.valid is not None
    assert prepared.valid.tokens.tolist() == [0, 1, 1, 1, 1, 1, 0]


def test_what_the_vocabulary_lacks_of_held_out_text_is_counted_and_noted(
    tmp_path: Path, own_cache: Path
) -> None:
    texts = {"train": "a b <unk>\n" * 9, "valid": "a c <unk>\n", "test": "a b <unk>\n"}
    for part, text in texts.items():
        (tmp_path / part).write_text(text)
    paths = {part: (str(tmp_path / part),) for part in texts}
    data = DataConfig(sources=paths["train"], valid=paths["valid"], test=paths["test"])
    prepared = finished(data, TokenizerConfig(kind="word"), own_cache)
    stores = (prepared.train, prepared.valid, prepared.test)
    assert [store and store.unknown for store in stores] == [{}, {"c": 1}, {}]
    assert prepared.notes == ("25.0% of the tokens of the valid part are not in the vocabulary",)


def test_bytes_that_are_no_text_are_prepared_as_bytes(tmp_path: Path, own_cache: Path) -> None:
    content = bytes(range(256)) * 4
    (tmp_path / "t.bin").write_bytes(content)
    data = DataConfig(sources=(str(tmp_path / "t.bin"),), split=(50, 50))
    prepared = finished(data, TokenizerConfig(kind="byte"), own_cache)
    assert prepared.tokenizer.decode_bytes(prepared.train.tokens) == content[:512]
    assert prepared.train.counts.bytes == 512
    with pytest.raises(CorpusError):
        finished(data, CHAR, own_cache)


def test_nothing_is_built_twice(
    source: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataConfig(sources=(source,))
    first = finished(data, CHAR, own_cache)
    monkeypatch.setattr(preparation, "build", None)
    again = finished(data, TokenizerConfig(kind="char", end_of_line=False), own_cache)
    assert again.digest == first.digest
    assert again.folder == first.folder
    assert again.tokenizer.digest() == first.tokenizer.digest()


def test_whatever_changes_the_tokens_changes_the_key(source: str, own_cache: Path) -> None:
    other = Path(source).with_name("other.txt")
    other.write_bytes(TEXT.encode()[:-2])
    data = DataConfig(sources=(source,))
    keys = [
        finished(data, CHAR, own_cache).digest,
        finished(DataConfig(sources=(str(other),)), CHAR, own_cache).digest,
        finished(DataConfig(sources=(source,), split=(90, 10)), CHAR, own_cache).digest,
        finished(DataConfig(sources=(source,), valid=(source,)), CHAR, own_cache).digest,
        finished(DataConfig(sources=(source,), encoding="latin-1"), CHAR, own_cache).digest,
        finished(data, TokenizerConfig(kind="byte"), own_cache).digest,
        finished(data, TokenizerConfig(kind="char", min_count=2), own_cache).digest,
        finished(data, TokenizerConfig(kind="char", vocab_size=9), own_cache).digest,
    ]
    assert len(set(keys)) == len(keys)


def test_the_name_of_a_source_does_not_change_the_key(source: str, own_cache: Path) -> None:
    key = finished(DataConfig(sources=(source,)), CHAR, own_cache).digest
    moved = Path(source).rename(Path(source).with_name("moved.txt"))
    assert finished(DataConfig(sources=(str(moved),)), CHAR, own_cache).digest == key


def test_several_processes_give_the_same_store(
    source: str, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataConfig(sources=(source,))
    tokenizer = TokenizerConfig(kind="bpe", vocab_size=320)
    alone = finished(data, tokenizer, own_cache)
    monkeypatch.setattr(building, "PARALLEL_FROM", 0)
    monkeypatch.setattr(building, "available_cores", lambda: 2)
    together = finished(data, tokenizer, tmp_path / "other")
    assert together.train.tokens.tobytes() == alone.train.tokens.tobytes()
    assert together.digest == alone.digest


def test_notes_are_kept(source: str, own_cache: Path) -> None:
    for _ in range(2):
        config = TokenizerConfig(kind="bpe", vocab_size=9999)
        prepared = finished(DataConfig(sources=(source,)), config, own_cache)
        assert len(prepared.notes) == 1
        assert "instead of 9,999" in prepared.notes[0]


@pytest.mark.parametrize("file", ["store.json", "train.bin", "tokenizer/tokenizer.json"])
@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"{")])
def test_a_damaged_store_is_built_again(
    file: str, harm: Callable[[Path], object], source: str, own_cache: Path
) -> None:
    data = DataConfig(sources=(source,))
    prepared = finished(data, CHAR, own_cache)
    harm(prepared.folder / file)
    again = finished(data, CHAR, own_cache)
    assert again.folder == prepared.folder
    assert text_of(again, again.train) == TEXT[: again.train.counts.chars]


def again(key: str, data: DataConfig, cache: Path) -> tuple[list[Preparing], Prepared]:
    """What ``prepare_again`` yields and returns."""
    records, said = prepare_again(key, data, CHAR, cache), list[Preparing]()
    while True:
        try:
            said.append(next(records))
        except StopIteration as end:
            return said, end.value


def test_a_known_text_is_found_by_its_key_or_prepared_again_if_it_is_the_same(
    source: str, own_cache: Path
) -> None:
    data = DataConfig(sources=(source,))
    made = finished(data, CHAR, own_cache)
    said, found = again(made.digest, DataConfig(sources=("gone.txt",)), own_cache)
    assert (said, found.folder) == ([], made.folder)
    shutil.rmtree(own_cache)
    said, found = again(made.digest, data, own_cache)
    assert said
    assert (found.train.tokens == made.train.tokens).all()
    shutil.rmtree(own_cache)
    Path(source).write_text(f"{TEXT}.")
    with pytest.raises(CorpusError, match="the text has changed since it was prepared"):
        again(made.digest, data, own_cache)


def test_a_folder_of_another_key_or_tokenizer_is_built_again(source: str, own_cache: Path) -> None:
    data = DataConfig(sources=(source,))
    made = finished(data, CHAR, own_cache)
    summary = made.folder / "store.json"
    whole = summary.read_text()
    for name in ("key", "tokenizer"):
        summary.write_text(json.dumps(json.loads(whole) | {name: "0" * 64}))
        assert find_prepared(own_cache, made.digest) is None
        assert finished(data, CHAR, own_cache).digest == made.digest
        assert find_prepared(own_cache, made.digest) is not None
