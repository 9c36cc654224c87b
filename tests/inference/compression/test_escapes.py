"""Every file is tokens and what they cannot say, with every tokenizer."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.tokenizers.kinds import Tokenizer
from charlm.inference.compression.escapes import (
    Gaps,
    Symbols,
    join,
    pack_extras,
    split,
    unpack_extras,
)
from tests.inference.compression.conftest import KINDS, ODD, TEXT, tokenizer_of


def there_and_back(tokenizer: Tokenizer, content: bytes) -> Symbols:
    """The symbols of ``content``, once they have been shown to give it back."""
    symbols = split(tokenizer, content)
    again = unpack_extras(tokenizer, pack_extras(symbols), symbols.ids, most=1 << 24)
    assert join(tokenizer, again) == content
    assert symbols.ids.min(initial=0) >= 0
    assert symbols.ids.max(initial=0) < tokenizer.vocab_size
    return symbols


@pytest.mark.parametrize("content", ODD)
def test_odd_files_come_back(tokenizer: Tokenizer, content: bytes) -> None:
    there_and_back(tokenizer, content)


@given(kind=st.sampled_from(KINDS), content=st.binary(max_size=60))
def test_any_bytes_come_back(kind: str, content: bytes) -> None:
    there_and_back(tokenizer_of(kind), content)


@given(kind=st.sampled_from(KINDS), words=st.lists(st.sampled_from(
    ["the", "cat", " ", "\n", "\r", "\t", "<unk>", "<eos>", "\u2581", "\u3000", "日", "\0", "qq"]
), max_size=30))  # fmt: skip
def test_any_mixture_of_words_and_spaces_comes_back(kind: str, words: list[str]) -> None:
    there_and_back(tokenizer_of(kind), "".join(words).encode())


def test_text_goes_through_the_tokens_that_are_scored(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(TEXT.encode() if tokenizer.kind == "byte" else TEXT)
    symbols = there_and_back(tokenizer, TEXT.encode())
    assert symbols.ids.tolist() == ids.tolist()
    assert (symbols.raw == ()) == (tokenizer.kind != "word")


def test_what_is_not_text_is_one_escape_amid_the_text() -> None:
    tokenizer = tokenizer_of("bpe")
    symbols = split(tokenizer, b"the cat \xff\xfe\xff sat")
    before, after = tokenizer.encode("the cat "), tokenizer.encode(" sat")
    assert symbols.ids.tolist() == [*before, 0, *after]
    assert symbols.raw == (b"\xff\xfe\xff",)


def test_neighbouring_unknown_characters_share_an_escape() -> None:
    tokenizer = tokenizer_of("char")
    symbols = split(tokenizer, "a猫犬a鳥".encode())
    assert symbols.ids.tolist() == [*tokenizer.encode("a"), 1, *tokenizer.encode("a"), 1]
    assert symbols.raw == ("猫犬".encode(), "鳥".encode())


def test_gaps_that_are_always_the_same_cost_nothing(shared_data: Path) -> None:
    """Every line of WikiText-2 begins and ends with a space, which the tokens leave out."""
    content = (shared_data / "wikitext-2" / "test.txt").read_bytes()[:50_000]
    symbols = split(tokenizer_of("word"), content[: content.rfind(b"\n") + 1])
    assert len(symbols.gaps.unusual) < 3


def test_extras_that_are_cut_or_too_many_are_refused() -> None:
    tokenizer = tokenizer_of("char")
    symbols = split(tokenizer, "a猫a".encode())
    packed = pack_extras(symbols)
    with pytest.raises(ValueError, match="fewer raw bytes"):
        unpack_extras(tokenizer, packed[:-4], symbols.ids, most=100)
    with pytest.raises(ValueError, match="escapes"):
        join(tokenizer, Symbols(symbols.ids[:1], symbols.raw))
    with pytest.raises(ValueError, match="escapes"):
        join(tokenizer, Symbols(np.ones(3, dtype=np.int64), symbols.raw))


@given(st.lists(st.binary(max_size=5), min_size=1, max_size=5))
def test_raw_bytes_may_hold_separators(raw: list[bytes]) -> None:
    tokenizer = tokenizer_of("char")
    gaps = Gaps((b" ", *[b""] * 8), {0: b"\n", 3: b"", 260: b"  "})
    symbols = Symbols(np.ones(len(raw), dtype=np.int64), tuple(raw), gaps)
    again = unpack_extras(tokenizer, pack_extras(symbols), symbols.ids, most=1 << 20)
    assert (again.raw, again.gaps) == (symbols.raw, gaps)


def test_one_raw_stretch_is_kept_as_it_is() -> None:
    noise = np.random.default_rng(1).bytes(5000)
    packed = pack_extras(Symbols(np.zeros(1, dtype=np.int64), (noise,)))
    assert len(packed) < len(noise) + 20
