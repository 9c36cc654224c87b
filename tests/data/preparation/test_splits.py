"""Parts are cut at exact places, and nothing is lost between them."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charlm.config import DataConfig
from charlm.data.preparation.splits import divide, part_ends
from charlm.data.sources.pieces import Piece
from tests.data.strings import FAST


def test_tinyshakespeare_is_cut_where_everybody_cuts_it() -> None:
    ends = part_ends(1_115_394, DataConfig(split=(90, 10)).shares)
    assert ends == [1_003_854, 1_115_394]
    assert ends[1] - ends[0] == 111_540


@pytest.mark.parametrize(
    ("total", "split", "ends"),
    [
        (100, (90, 5, 5), [90, 95, 100]),
        (10, (70, 10, 20), [7, 8, 10]),  # in floats 0.7 + 0.1 is less than 0.8
        (1, (90, 5, 5), [0, 0, 1]),
        (7, (1, 1), [3, 7]),
    ],
)
def test_part_ends_are_whole_shares(total: int, split: tuple[float, ...], ends: list[int]) -> None:
    assert part_ends(total, DataConfig(split=split).shares) == ends


def test_a_text_with_one_part_is_not_cut() -> None:
    assert part_ends(12, (1.0,)) == [12]


@FAST
@given(st.integers(0, 10**12), st.lists(st.floats(0.01, 100), min_size=2, max_size=3))
def test_parts_are_in_order_and_cover_the_text(total: int, split: list[float]) -> None:
    ends = part_ends(total, [share / math.fsum(split) for share in split])
    assert ends[-1] == total
    assert all(start <= end for start, end in pairwise([0, *ends]))


@FAST
@given(
    st.lists(st.tuples(st.text("ab", min_size=1), st.booleans()), max_size=6),
    st.lists(st.integers(0, 20), min_size=1, max_size=3).map(sorted),
    st.booleans(),
)
def test_parts_hold_exactly_their_characters(
    drawn: list[tuple[str, bool]], ends: list[int], raw: bool
) -> None:
    pieces = [
        Piece(text.encode() if raw else text, starts or number == 0)
        for number, (text, starts) in enumerate(drawn)
    ]
    whole = "".join(text for text, _ in drawn)
    begins = {0}  # where documents begin, counted in characters
    for number in range(1, len(drawn)):
        if drawn[number][1]:
            begins.add(sum(len(text) for text, _ in drawn[:number]))
    found = list(divide(pieces, ends))
    for part, (start, end) in enumerate(pairwise([0, *ends])):
        own = [piece for number, piece in found if number == part]
        empty = b"" if raw else ""
        expected = whole[start:end]
        assert empty.join(piece.text for piece in own) == (expected.encode() if raw else expected)
        position = start
        for piece in own:
            assert piece.text
            assert piece.starts == (position == start or position in begins)
            position += len(piece.text)
