"""Bytes, characters and words: nothing is lost or invented, damaged folders are refused."""

import json
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers import kinds as tokenizers
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import TokenizerError
from tests.data.strings import CHARACTERS, FAST, FRAGMENTS, LONG, TEXT, TWENTY
from tests.data.tokenizers.trained import train

CHAR = CharTokenizer("etaoin shr")
WORD = WordTokenizer(["the", "<eos>", "cat"], end_of_line=True)


def trained(text: str, kind: str, **settings: object) -> tokenizers.Tokenizer:
    config = TokenizerConfig(kind=kind, **settings)
    return train(config, [Piece(text, starts=True)])[0]


def check_bytes(texts: list[str]) -> None:
    tokenizer = ByteTokenizer()
    for text in texts:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def check_chars(texts: list[str]) -> None:
    alphabet = sorted(set("".join(texts)))
    tokenizer = CharTokenizer(alphabet)
    for text in texts:
        ids = tokenizer.encode(text)
        assert ids.tolist() == [2 + alphabet.index(char) for char in text]
        assert tokenizer.decode(ids) == text


@FAST
@given(TWENTY)
def test_every_text_survives_the_byte_tokenizer(texts: list[str]) -> None:
    check_bytes(texts)


@pytest.mark.long
@LONG
@given(TWENTY)
def test_twenty_thousand_texts_survive_the_byte_tokenizer(texts: list[str]) -> None:
    check_bytes(texts)


@FAST
@given(st.binary(max_size=200))
def test_any_bytes_survive_the_byte_tokenizer(content: bytes) -> None:
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(content)
    assert ids.dtype == "<u2"
    assert ids.tolist() == [byte + 1 for byte in content]
    assert tokenizer.decode_bytes(ids) == content


@FAST
@given(TWENTY)
def test_every_text_over_the_alphabet_survives_the_char_tokenizer(texts: list[str]) -> None:
    check_chars(texts)


@pytest.mark.long
@LONG
@given(TWENTY)
def test_twenty_thousand_texts_survive_the_char_tokenizer(texts: list[str]) -> None:
    check_chars(texts)


@FAST
@given(st.text(CHARACTERS) | st.text("abcd\xff\u0100"), st.sets(CHARACTERS, min_size=1))
def test_characters_outside_the_alphabet_become_unknown(text: str, alphabet: set[str]) -> None:
    symbols = sorted(alphabet)
    expected = [2 + symbols.index(char) if char in alphabet else 1 for char in text]
    tokenizer = CharTokenizer(symbols)
    assert tokenizer.encode(text).tolist() == expected
    assert tokenizer.unknown(text) == Counter(char for char in text if char not in alphabet)


def test_frequent_characters_come_first_and_ties_by_code_point() -> None:
    assert trained("abracadabra", "char").encode("abrcd").tolist() == [2, 3, 4, 5, 6]


def test_rare_characters_are_left_out_by_count_and_by_size() -> None:
    text = "aaaabbbccd"
    assert trained(text, "char", min_count=3).definition()["symbols"] == ["a", "b"]
    assert trained(text, "char", vocab_size=5).definition()["symbols"] == ["a", "b", "c"]
    config = TokenizerConfig(kind="char", min_count=2)
    _, notes = train(config, [Piece(text, starts=True)])
    assert notes == ("1 rare character (10.000% of the text) becomes <unk>",)


@pytest.mark.parametrize("kind", ["char", "word"])
def test_a_minimum_count_that_nothing_reaches_is_refused(kind: str) -> None:
    with pytest.raises(TokenizerError, match="occurs 9 times"):
        trained("a b c", kind, min_count=9)


@pytest.mark.parametrize(("size", "dtype"), [(254, "u1"), (255, "<u2"), (65534, "<u2")])
def test_ids_take_the_smallest_type_that_holds_them(size: int, dtype: str) -> None:
    symbols = [chr(code) for code in range(32, 0xD800)] + [chr(c) for c in range(0xE000, 0x20000)]
    tokenizer = CharTokenizer(symbols[:size])
    assert tokenizer.dtype == dtype
    assert tokenizer.encode(symbols[size - 1]).tolist() == [size + 1]


@FAST
@given(st.lists(st.integers(0, 256)))
def test_a_stream_of_bytes_gives_what_decode_gives(ids: list[int]) -> None:
    tokenizer = ByteTokenizer()
    stream = tokenizer.stream()
    shown = [stream.push(id) for id in ids]
    assert "".join(shown) + stream.flush() == tokenizer.decode(ids)


def test_a_stream_holds_a_character_back_until_it_is_whole() -> None:
    tokenizer = ByteTokenizer()
    stream = tokenizer.stream()
    assert [stream.push(id) for id in tokenizer.encode("\u20ac!").tolist()] == [
        "",
        "",
        "\u20ac",
        "!",
    ]
    assert stream.push(0xE3) == ""
    assert stream.flush() == "\ufffd"
    assert stream.push(ord("a") + 1) == "a"


@pytest.mark.parametrize("name", ["tinyshakespeare.txt", "alice29.txt", "enwik6", "unicode/*"])
def test_real_texts_survive_bytes_and_characters(shared_data: Path, name: str) -> None:
    paths = sorted(shared_data.glob(name))
    assert paths
    for path in paths:
        text = path.read_bytes().decode("utf-8")
        for tokenizer in (ByteTokenizer(), trained(text, "char")):
            assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), CHAR, WORD])
def test_half_a_surrogate_pair_is_refused(tokenizer: tokenizers.Tokenizer) -> None:
    with pytest.raises(TokenizerError, match=r"character 2 .* U\+D83D"):
        tokenizer.encode("ab\ud83d")


@pytest.mark.parametrize("tokenizer", [CHAR, WORD])
def test_tokenizers_of_text_take_bytes_that_are_utf_8_only(tokenizer: tokenizers.Tokenizer) -> None:
    assert tokenizer.encode(b"the cat").tolist() == tokenizer.encode("the cat").tolist()
    with pytest.raises(TokenizerError, match="byte 1 "):
        tokenizer.encode(b"a\xff")


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), CHAR, WORD])
@pytest.mark.parametrize("id", [-1, 1 << 20])
def test_ids_outside_the_vocabulary_are_refused(tokenizer: tokenizers.Tokenizer, id: int) -> None:
    for use in (tokenizer.token_bytes, lambda id: tokenizer.decode([0, id])):
        with pytest.raises(TokenizerError, match=f"token id {id}"):
            use(id)


@pytest.mark.parametrize("tokenizer", [ByteTokenizer(), CHAR, WORD])
def test_saving_and_pickling_keep_the_tokenizer(
    tokenizer: tokenizers.Tokenizer, tmp_path: Path
) -> None:
    tokenizer.save(tmp_path)
    text = "".join(FRAGMENTS) + "the cat"
    for copy in (tokenizers.load(tmp_path), pickle.loads(pickle.dumps(tokenizer))):
        assert copy.digest() == tokenizer.digest()
        assert copy.encode(text).tobytes() == tokenizer.encode(text).tobytes()
        assert copy.table == tokenizer.table


def test_digests_tell_tokenizers_apart() -> None:
    others = [CharTokenizer("eta"), CharTokenizer("ate"), ByteTokenizer(), WORD]
    others.append(WordTokenizer(["the", "<eos>", "cat"], end_of_line=False))
    assert len({tokenizer.digest() for tokenizer in others}) == 5


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"format": 99, "kind": "byte"}',
        '{"format": 1, "kind": "magic", "symbols": []}',
        '{"format": 1, "kind": ["byte"]}',
        '{"format": 1, "kind": "char"}',
        '{"format": 1, "kind": "char", "symbols": "abc"}',
        '{"format": 1, "kind": "char", "symbols": ["ab"]}',
        '{"format": 1, "kind": "char", "symbols": ["a", "a"]}',
        '{"format": 1, "kind": "char", "symbols": [7]}',
        r'{"format": 1, "kind": "char", "symbols": ["\ud800"]}',
        '{"format": 1, "kind": "word", "symbols": ["a"]}',
        '{"format": 1, "kind": "word", "symbols": ["a"], "end_of_line": true}',
        '{"format": 1, "kind": "word", "symbols": ["a b"], "end_of_line": false}',
        '{"format": 1, "kind": "word", "symbols": [""], "end_of_line": false}',
        '{"format": 1, "kind": "word", "symbols": ["<unk>"], "end_of_line": false}',
        '{"format": 1, "kind": "bpe"}',
    ],
)
def test_a_damaged_definition_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(TokenizerError) as caught:
        tokenizers.load(tmp_path)
    assert caught.value.hint


def test_a_missing_or_huge_definition_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TokenizerError, match=r"tokenizer\.json cannot be read"):
        tokenizers.load(tmp_path)
    CHAR.save(tmp_path)
    monkeypatch.setattr(tokenizers, "LARGEST_DEFINITION", 40)
    with pytest.raises(TokenizerError, match="larger than 40 bytes"):
        tokenizers.load(tmp_path)


@FAST
@given(st.integers(0, 200), st.binary(max_size=3), st.integers(0, 5))
def test_a_definition_with_changed_bytes_loads_whole_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, at: int, put: bytes, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    WORD.save(folder)
    path = folder / "tokenizer.json"
    content = path.read_bytes()
    path.write_bytes(content[:at] + put + content[at + cut :])
    try:
        loaded = tokenizers.load(folder)
    except TokenizerError:
        return
    assert json.loads(path.read_bytes())["symbols"] == loaded.definition()["symbols"]


@FAST
@given(TEXT)
def test_no_text_is_encoded_as_the_boundary(text: str) -> None:
    for tokenizer in (ByteTokenizer(), CHAR, WORD):
        assert np.all(tokenizer.encode(text) != tokenizer.boundary_id)


def test_importing_the_data_floor_loads_no_heavy_library() -> None:
    code = (
        "import sys, charlm.data.preparation.prepared;"
        "assert not {'torch', 'datasets', 'sentencepiece', 'rich'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
