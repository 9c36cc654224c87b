"""The index of a prepared text is built once, and holds what ``decode`` writes."""

import random
from pathlib import Path

import numpy as np
import pytest

from charlm.data.preparation.counting import Counts
from charlm.data.preparation.store import TokenStore
from charlm.data.suffixes import building
from charlm.data.suffixes.building import Indexing, decoded, fold, fold_all, index_text
from charlm.data.suffixes.index import SuffixIndex
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import CharlmError, CorpusError
from tests.data.suffixes.naive import index_of

DOCUMENTS = ["The  cat\nsat é.", "", "on the\tmat 日"]


def stored(tokenizer: Tokenizer, documents: list[str] = DOCUMENTS) -> TokenStore:
    ids = [0]
    for document in documents:
        ids += [*tokenizer.encode(document).tolist(), 0]
    size = len("".join(documents).encode())
    return TokenStore(np.array(ids, tokenizer.dtype), Counts(documents=len(documents), bytes=size))


def built(tokenizer: Tokenizer, cache: Path, **how: bool) -> SuffixIndex:
    pytest.importorskip("pydivsufsort")
    *progress, index = index_text(lambda: [stored(tokenizer)], tokenizer, "digest", cache, **how)
    assert isinstance(index, SuffixIndex)
    assert all(isinstance(record, Indexing) for record in progress)
    return index


WORDS = WordTokenizer(["The", "cat", "sat", "on", "the", "mat", "<eos>"], end_of_line=True)
CHARS = CharTokenizer(sorted(set("".join(DOCUMENTS))))


@pytest.mark.parametrize("block", [1, 2, 3, 1000])
@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), CHARS, WORDS], ids=lambda each: each.kind)
def test_the_text_is_what_decode_writes_in_blocks_of_any_size(
    tokenizer: Tokenizer, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "TOKENS", block)
    text = "".join(decoded(stored(tokenizer).tokens, tokenizer))
    written = [tokenizer.decode(tokenizer.encode(document)) for document in DOCUMENTS]
    assert text == "\udcff" + "".join(each + "\udcff" for each in written)
    folded = "".join(fold_all(decoded(stored(tokenizer).tokens, tokenizer)))
    assert folded == fold(text)


def test_bytes_that_are_no_text_are_compared_as_they_are_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(building, "TOKENS", 2)
    tokenizer = ByteTokenizer()
    tokens = np.array([0, *tokenizer.encode(b"a\xe9b\xc3"), 0, *tokenizer.encode(b"\xa9"), 0])
    assert "".join(decoded(tokens, tokenizer)) == "\udcffa\ufffdb\ufffd\udcff\ufffd\udcff"


def test_the_library_sorts_as_python_does(tmp_path: Path) -> None:
    index, plain = built(CHARS, tmp_path), index_of(*DOCUMENTS)
    assert bytes(index.text) == bytes(plain.text)
    assert list(index.suffixes) == list(plain.suffixes)
    folded = built(CHARS, tmp_path, folded=True)
    assert "the cat sat é." in folded
    assert "The" not in folded


def test_an_index_is_built_once_and_again_where_it_was_damaged(tmp_path: Path) -> None:
    built(CHARS, tmp_path)
    (folder,) = (tmp_path / "suffixes").iterdir()

    def refuse() -> TokenStore:
        raise AssertionError("the text is not needed")

    (index,) = index_text(refuse, CHARS, "digest", tmp_path)
    assert isinstance(index, SuffixIndex)
    for name in ("text.bin", "suffixes.bin", "index.json"):
        del index
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
        index = built(CHARS, tmp_path)
        assert "cat\nsat" in index
        assert (folder / name).stat().st_size >= len(content) - 2
    assert [each.name for each in (tmp_path / "suffixes").iterdir()] == [folder.name]


def test_a_text_too_large_for_the_memory_is_refused_with_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pydivsufsort")
    monkeypatch.setattr(building, "free_memory", lambda: 3 * 10**9)
    store = TokenStore(np.array([0, 0]), Counts(bytes=10**9))
    with pytest.raises(CorpusError, match=r"1.0 GB.* needs 5.0 GB of memory, and 3.0 GB are free"):
        list(index_text(lambda: [store], CHARS, "digest", tmp_path))
    assert not list(tmp_path.iterdir())

    def without_memory(text: bytes) -> None:
        raise MemoryError

    monkeypatch.setattr(building, "sorter", lambda: without_memory)
    with pytest.raises(CorpusError, match="more than is free"):
        list(index_text(lambda: [stored(CHARS)], CHARS, "digest", tmp_path))
    assert not list((tmp_path / "suffixes").iterdir())


def test_without_the_library_it_is_said_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydivsufsort", None)
    with pytest.raises(CharlmError, match="pydivsufsort") as error:
        list(index_text(lambda: [stored(CHARS)], CHARS, "digest", tmp_path))
    assert "[novelty]" in error.value.hint


def test_the_index_of_a_megabyte_is_built_in_three_seconds(
    tmp_path: Path, shared_data: Path, figure: object
) -> None:
    pytest.importorskip("pydivsufsort")
    import time

    text = (shared_data / "tinyshakespeare.txt").read_text()
    tokenizer = CharTokenizer(sorted(set(text)))
    store = stored(tokenizer, [text])
    began = time.process_time()
    *_, index = index_text(lambda: [store], tokenizer, "digest", tmp_path)
    assert isinstance(index, SuffixIndex)
    assert time.process_time() - began < 3
    start = random.Random(1).randrange(len(text))
    assert index.prefix_length(text[start : start + 500] + "\0") == 500
