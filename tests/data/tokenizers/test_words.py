"""Words as tokens: the published corpora are counted as published."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers import kinds as tokenizers
from charlm.data.tokenizers.words import WordTokenizer
from tests.data.strings import FAST
from tests.data.tokenizers.trained import train

WORD = WordTokenizer(["the", "<eos>", "cat"], end_of_line=True)


def trained(text: str, **settings: object) -> tokenizers.Tokenizer:
    config = TokenizerConfig(kind="word", **settings)
    return train(config, [Piece(text, starts=True)])[0]


@FAST
@given(st.lists(st.integers(0, WORD.vocab_size - 1)))
def test_a_stream_of_words_gives_what_decode_gives(ids: list[int]) -> None:
    stream = WORD.stream()
    assert "".join(stream.push(id) for id in ids) + stream.flush() == WORD.decode(ids)


def test_words_are_joined_by_one_space_and_lines_by_none() -> None:
    ids = WORD.encode(" the  cat\n<unk> dog\tthe <eos> cat")
    assert ids.tolist() == [2, 4, 3, 1, 1, 2, 3, 4]
    assert WORD.decode(ids) == "the cat\n<unk> <unk> the\ncat"
    assert WORD.unknown("dog <unk> dog the\n<|boundary|>") == {"dog": 2, "<|boundary|>": 1}


def test_a_literal_unk_is_a_word_of_the_text_and_not_out_of_vocabulary() -> None:
    text = "the <unk> dog\n<unk> cat emu"
    ids = WORD.encode(text)
    assert ids.tolist() == [2, 1, 1, 3, 1, 4, 1]
    assert WORD.oov(text, ids).tolist() == [False, False, True, False, False, False, True]
    assert WORD.oov(text, ids).sum() == WORD.unknown(text).total()


def test_words_come_by_falling_count_and_the_line_end_among_them() -> None:
    text = "b a b\n<unk> <unk> <unk> c\n"
    learned = trained(text)
    assert learned.definition()["symbols"] == ["<eos>", "b", "a", "c"]
    assert trained(text, end_of_line=False).definition()["symbols"] == ["b", "a", "c"]
    assert trained(text, vocab_size=4).definition()["symbols"] == ["<eos>", "b"]
    assert trained("a").definition()["symbols"] == ["a", "<eos>"]


def test_too_many_distinct_words_are_forgotten_from_the_rarest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("charlm.data.tokenizers.words.MOST_TYPES", 100)
    pieces = [
        Piece(f"the and {' '.join(f'w{n}x{i}' for i in range(40))} ", False) for n in range(9)
    ]
    tokenizer, notes = train(TokenizerConfig(kind="word"), pieces)
    assert tokenizer.encode("and the").tolist() == [2, 3]
    assert tokenizer.vocab_size < 110
    assert "more than 100 distinct words" in notes[-1]


def test_wikitext_2_has_the_published_numbers_of_tokens_and_types(shared_data: Path) -> None:
    texts = [
        (shared_data / "wikitext-2" / f"{part}.txt").read_bytes().decode()
        for part in ("train", "valid", "test")
    ]
    tokenizer = trained(texts[0])
    assert [len(tokenizer.encode(text)) for text in texts] == [2_088_628, 217_646, 245_569]
    assert tokenizer.vocab_size == 33_278 + 1
    assert not any(tokenizer.unknown(text) for text in texts)
