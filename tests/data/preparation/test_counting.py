"""Counts equal what Python's own methods say, however the text is cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.data.preparation.counting import (
    CODE_SPACE,
    LAST_SPACE,
    Counts,
    TextCounter,
    code_points,
)
from charlm.data.sources.pieces import Piece
from charlm.errors import TokenizerError
from tests.data.strings import FAST, TEXT


def counted(parts: list[str] | list[bytes]) -> Counts:
    counter = TextCounter()
    for number, part in enumerate(parts):
        counter.add(Piece(part, starts=number == 0), tokens=3)
    return counter.counts


def cut(text, places):
    ends = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[start:end] for start, end in pairwise(ends)] or [text]


@FAST
@given(TEXT, st.lists(st.integers(0, 1000), max_size=5))
def test_text_counts_are_exact_across_pieces(text: str, places: list[int]) -> None:
    parts = cut(text, places)
    assert counted(parts) == Counts(
        documents=1,
        tokens=3 * len(parts),
        chars=len(text),
        bytes=len(text.encode()),
        words=len(text.split()),
    )


@FAST
@given(TEXT.map(str.encode) | st.binary(max_size=99), st.lists(st.integers(0, 1000), max_size=5))
def test_byte_counts_are_exact_across_pieces(content: bytes, places: list[int]) -> None:
    counts = counted(cut(content, places))
    assert counts.bytes == len(content)
    assert counts.words == len(content.decode("utf-8", "replace").split())
    assert counts.chars == sum(byte & 0xC0 != 0x80 for byte in content)


def test_characters_of_utf_8_are_counted_in_raw_bytes() -> None:
    text = "a\u20ac\U0001f600"
    assert counted([text.encode()]).chars == len(text)


@pytest.mark.parametrize("space", ["\xa0", "\x85", "\u2003", "\u3000", "\x1c"])
def test_words_of_bytes_are_the_words_of_their_text(space: str) -> None:
    text = f"one{space}two {space}three"
    assert counted([text]).words == counted([text.encode()]).words == len(text.split()) == 3
    assert list(re.findall(r"\S+", text)) == text.split()


def test_bytes_of_a_character_that_never_comes_are_a_word() -> None:
    counter = TextCounter()
    for part, starts in ((b"a \xe2", True), (b"b \xe2", True), (b"\x80", False), (b"\x83c", False)):
        counter.add(Piece(part, starts))
    assert counter.counts.words == 4


def test_a_word_ends_with_its_document() -> None:
    counter = TextCounter()
    for part in ("one", "two"):
        counter.add(Piece(part, starts=True))
    counter.add(Piece("more", starts=False))
    assert counter.counts.words == 2
    assert counter.counts.documents == 2


def test_counts_add() -> None:
    ones = Counts(documents=1, tokens=1, chars=1, bytes=1, words=1)
    assert ones + ones == Counts(documents=2, tokens=2, chars=2, bytes=2, words=2)


def test_no_white_space_lies_beyond_the_table() -> None:
    spaces = [code for code in range(CODE_SPACE) if chr(code).isspace()]
    assert max(spaces) == LAST_SPACE


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 1), ("ab\xe9", 2), ("\uffff", 2), ("a\U00010000", 4), ("", 1)]
)
def test_code_points_are_as_narrow_as_the_text_allows(text: str, width: int) -> None:
    codes = code_points(text)
    assert codes.tolist() == list(map(ord, text))
    assert codes.itemsize == width


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(TokenizerError, match=r"U\+DC00"):
        code_points("\udc00")
