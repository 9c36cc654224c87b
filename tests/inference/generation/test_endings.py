"""Texts end after so many units, whatever pieces they come in."""

import pytest

from charlm.config import GenerationConfig
from charlm.inference.generation.endings import LONGEST_REST, LONGEST_UNIT, Ending

TEXT = 'It was. "Why?" she said, twice!\n\nNo one\nanswered. The end'


def ended(text: str, size: int, **given: object) -> str:
    """The text up to its end, in pieces of so many characters."""
    ending, found = Ending(GenerationConfig(**given)), ""  # type: ignore[arg-type]
    for begin in range(0, len(text), size):
        piece = text[begin : begin + size]
        end = ending.find(piece)
        if end is not None:
            return found + piece[:end]
        found += piece
    return found


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"length": 5}, "It wa"),
        ({"length": 1, "unit": "words"}, "It"),
        ({"length": 4, "unit": "words"}, 'It was. "Why?" she'),
        ({"length": 1, "unit": "sentences"}, "It was."),
        ({"length": 2, "unit": "sentences"}, 'It was. "Why?"'),
        ({"length": 1, "unit": "lines"}, 'It was. "Why?" she said, twice!'),
        ({"length": 2, "unit": "lines"}, 'It was. "Why?" she said, twice!\n\nNo one'),
        ({"length": 4, "whole": "word"}, "It was."),
        ({"length": 9, "whole": "sentence"}, 'It was. "Why?"'),
        ({"length": 9, "whole": "line"}, 'It was. "Why?" she said, twice!'),
        ({"length": -1}, TEXT),
        ({"length": 99, "unit": "lines"}, TEXT),
    ],
)
def test_a_text_ends_after_its_units(size: int, given: dict[str, object], expected: str) -> None:
    assert ended(TEXT, size, **given) == expected


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("unit", ["lines", "paragraphs"])
@pytest.mark.parametrize("length", [1, 2])
def test_lines_and_paragraphs_end_before_cr_lf_too(size: int, unit: str, length: int) -> None:
    given = {"unit": unit, "length": length}
    text = "One.\nTwo\n\nThree.\n\nFour."
    expected = ended(text, 1, **given).replace("\n", "\r\n")
    assert ended(text.replace("\n", "\r\n"), size, **given) == expected


def test_tokens_are_counted_as_they_come() -> None:
    assert ended(TEXT, 3, length=2, unit="tokens") == TEXT[:6]


def test_the_end_of_a_word_that_never_comes_is_not_waited_for() -> None:
    assert len(ended("a" * 5000, 7, length=10, whole="word")) <= LONGEST_REST + 20


@pytest.mark.parametrize("unit", ["words", "sentences", "lines", "paragraphs"])
def test_the_end_of_a_unit_that_never_comes_is_not_waited_for(unit: str) -> None:
    assert len(ended("a" * 3 * LONGEST_UNIT, 7, length=10, unit=unit)) <= LONGEST_UNIT + 20


def test_tokens_without_characters_end_a_text_that_counts_characters() -> None:
    ending = Ending(GenerationConfig(length=1))
    assert any(ending.find("") == 0 for _ in range(LONGEST_UNIT + 1))


def test_a_long_text_of_units_that_end_is_not_cut() -> None:
    text = "All is well. " * (2 * LONGEST_UNIT // 10)
    assert ended(text, 1000, length=10**6, unit="sentences") == text
    assert ended(text, 1000, length=len(text), unit="characters") == text
    assert ended(text, 1000, length=len(text) - 1, unit="characters") == text[:-1]
