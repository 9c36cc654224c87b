"""What a run is shown with: the opening of a text, for a model to continue."""

import numpy as np
import pytest

from charlm.data.preparation.counting import Counts
from charlm.data.preparation.store import TokenStore
from charlm.inference.demonstration import opening
from tests.inference.toys import trained


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one line\nand more " * 40, "one line\nand more " * 13 + "one line\n"),
        ("no line " * 40, "no line " * 31 + "no "),
        ("日" * 300, "日" * 85),  # 256 bytes end within a character
    ],
)
def test_an_opening_ends_with_a_line_a_word_or_a_whole_character(text: str, expected: str) -> None:
    tokenizer = trained("byte")
    tokens = np.concatenate([[0], tokenizer.encode(text), [0]])
    assert opening(TokenStore(tokens, Counts()), tokenizer) == expected
