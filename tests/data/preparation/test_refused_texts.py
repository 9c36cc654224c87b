"""Texts, names and disks that make preparation impossible are refused in words."""

import gzip
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.config import DataConfig, TokenizerConfig
from charlm.data.preparation import prepared as preparation
from charlm.data.preparation.prepared import Prepared, Preparing, prepare
from charlm.errors import CharlmError, CorpusError, TokenizerError

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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["", " \n\t\u3000 ", "a", "ab", "\n"])
def test_texts_with_too_little_in_them_are_refused(
    kind: str, text: str, tmp_path: Path, own_cache: Path
) -> None:
    path = tmp_path / "t.txt"
    path.write_text(text)
    with pytest.raises(CorpusError) as caught:
        finished(DataConfig(sources=(str(path),)), TokenizerConfig(kind=kind), own_cache)
    assert caught.value.hint
    assert not list(own_cache.rglob("*.bin"))


def test_a_split_that_leaves_a_part_empty_names_the_counts(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("abcdefg")
    with pytest.raises(CorpusError, match="its 7 characters, train 6, valid 0, test 1"):
        finished(DataConfig(sources=(str(path),)), CHAR, own_cache)


@pytest.mark.parametrize("kind", ["byte", "char", "word"])
def test_a_training_part_of_one_token_is_refused(
    kind: str, tmp_path: Path, own_cache: Path
) -> None:
    path = tmp_path / "t.txt"
    path.write_text("ab")
    data = DataConfig(sources=(str(path),), split=(50, 50))
    with pytest.raises(CorpusError, match="train part has 1 of the 2 tokens"):
        finished(data, TokenizerConfig(kind=kind), own_cache)
    assert not list((own_cache / "tokens").glob("*/"))


def test_a_validation_text_of_white_space_is_refused(
    source: str, tmp_path: Path, own_cache: Path
) -> None:
    (tmp_path / "blank.txt").write_text("  \n")
    data = DataConfig(sources=(source,), valid=(str(tmp_path / "blank.txt"),))
    with pytest.raises(CorpusError, match=r"blank\.txt"):
        finished(data, CHAR, own_cache)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def change_a_byte(path: Path) -> None:
    path.write_bytes(b"L" + path.read_bytes()[1:])


def pack_more(path: Path) -> None:
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"more"))


@pytest.mark.parametrize(
    ("phase", "harm"),
    [
        *itertools.product(["hashing", "learning the tokenizer"], [grow, change_a_byte, pack_more]),
        ("encoding", grow),
    ],
)
def test_a_text_that_changes_after_it_was_hashed_is_refused(
    phase: str,
    harm: Callable[[Path], None],
    source: str,
    own_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = Path(source)
    if harm is pack_more:
        path = path.with_suffix(".gz")
        path.write_bytes(gzip.compress(TEXT.encode()))
    key_of = preparation.key_of

    def harm_after_hashing(*arguments: Any) -> str:
        if phase == "hashing":
            harm(path)
        return key_of(*arguments)

    def prepare_and_harm() -> None:
        left = {phase}
        for record in prepare(DataConfig(sources=(str(path),)), CHAR, own_cache):
            if isinstance(record, Preparing) and record.phase in left:
                left.clear()
                harm(path)

    monkeypatch.setattr(preparation, "key_of", harm_after_hashing)
    with pytest.raises(CorpusError, match="changed while it was read"):
        prepare_and_harm()
    assert not list((own_cache / "tokens").glob("*/"))


def test_what_was_left_out_and_what_the_tokenizer_says_is_noted(
    tmp_path: Path, own_cache: Path
) -> None:
    (tmp_path / "texts" / "runs").mkdir(parents=True)
    (tmp_path / "texts" / "a.txt").write_bytes(b"\xef\xbb\xbf~" + TEXT.encode())
    (tmp_path / "texts" / "runs" / "run.toml").touch()
    data = DataConfig(sources=(str(tmp_path / "texts"),), split=(90, 10))
    config = TokenizerConfig(kind="char", min_count=2)
    for _ in range(2):  # built, then found
        *kept, rare = finished(data, config, own_cache).notes
        assert kept == [
            f"{tmp_path}/texts: left out runs",
            f"{tmp_path}/texts/a.txt begins with a byte order mark, left out",
        ]
        assert "rare character" in rare


def test_a_name_that_no_run_could_record_is_refused_first(tmp_path: Path, own_cache: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")
    Path(path).write_text(TEXT)
    with pytest.raises(CorpusError, match=r"the name .*/caf\\xe9\.txt is not UTF-8") as caught:
        finished(DataConfig(sources=(path,)), CHAR, own_cache)
    assert "rename" in caught.value.hint
    text_of_folder = finished(DataConfig(sources=(str(tmp_path),), split=(90, 10)), CHAR, own_cache)
    assert text_of_folder.train.counts.chars == int(0.9 * len(TEXT))


def test_a_cache_that_cannot_be_written_is_named(source: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CorpusError, match="file cannot be written"):
        finished(DataConfig(sources=(source,)), CHAR, tmp_path / "file")


def test_a_disk_that_fills_up_leaves_nothing(
    source: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("charlm.data.preparation.store.PartWriter.add", full)
    with pytest.raises(CorpusError, match="No space left"):
        finished(DataConfig(sources=(source,)), CHAR, own_cache)
    assert not list((own_cache / "tokens").glob("*/"))


def test_errors_are_of_the_project_whatever_the_settings(tmp_path: Path, own_cache: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a b c d e f g h i j k l m n o p\n" * 20)
    for kind, size in (("bpe", 10), ("unigram", 10)):
        with pytest.raises(TokenizerError, match="at least"):
            finished(
                DataConfig(sources=(str(path),)),
                TokenizerConfig(kind=kind, vocab_size=size),
                own_cache,
            )
    with pytest.raises(CharlmError):
        finished(DataConfig(sources=(str(tmp_path / "none"),)), CHAR, own_cache)
