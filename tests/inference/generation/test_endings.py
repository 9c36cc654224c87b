"""Texts end after so many units, whatever pieces they come in."""

import pytest

from charlm.config import GenerationConfig
from charlm.inference.generation.endings import LONGEST_REST, Ending

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
