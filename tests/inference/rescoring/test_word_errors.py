"""Word errors by hand, and by the definition."""

import random
import sys

import pytest

from charlm.errors import CharlmError
from charlm.inference.rescoring.word_errors import WordErrors, count_errors, distances

CASES = [
    ("a b c", "a b c", (0, 0, 0)),
    ("a b c", "a x c", (1, 0, 0)),
    ("a b c", "a c", (0, 1, 0)),
    ("a b c", "a b b c", (0, 0, 1)),
    ("a b c", "", (0, 3, 0)),
    ("", "a b", (0, 0, 2)),
    ("", "", (0, 0, 0)),
    ("a b c d", "b c d e", (0, 1, 1)),
    ("recognize speech", "wreck a nice beach", (2, 0, 2)),
    ("the the the", "the", (0, 2, 0)),
    ("caf\u00e9", "cafe\u0301", (1, 0, 0)),  # words are compared as they are written
]
"""In each, all alignments with the fewest errors have the same counts."""


@pytest.mark.parametrize(("reference", "hypothesis", "counts"), CASES)
def test_counts_by_hand(reference: str, hypothesis: str, counts: tuple[int, int, int]) -> None:
    found = count_errors(reference.split(), hypothesis.split())
    assert (found.substitutions, found.deletions, found.insertions) == counts
    assert found.words == len(reference.split())


def test_of_several_alignments_only_the_number_of_errors_is_certain() -> None:
    found = count_errors(["a", "b"], ["b", "a"])  # two substitutions, or one deleted and inserted
    assert (found.errors, found.rate) == (2, 1)


def test_errors_and_distances_are_those_of_the_definition() -> None:
    source = random.Random(5)
    reference = source.choices("abcde", k=9)
    rows = [source.choices("abcdefg", k=source.randint(0, 14)) for _ in range(60)]
    expected = [levenshtein(reference, row) for row in rows]
    assert distances(reference, rows) == expected
    for row, errors in zip(rows, expected, strict=True):
        found = count_errors(reference, row)
        assert found.errors == errors
        assert len(row) == len(reference) - found.deletions + found.insertions


def test_without_rapidfuzz_the_way_to_get_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidfuzz.distance", None)
    with pytest.raises(CharlmError, match="need the package rapidfuzz") as raised:
        count_errors(["a"], ["b"])
    assert "'.[rescore]'" in raised.value.hint


def levenshtein(a: list[str], b: list[str]) -> int:
    """By the definition, slowly."""
    if not a or not b:
        return len(a) + len(b)
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]


def test_rates_are_errors_by_words_of_the_references() -> None:
    total = WordErrors(1, 2, 0, 10) + WordErrors(0, 0, 1, 6)
    assert (total.errors, total.words, total.rate) == (4, 16, 0.25)
    assert WordErrors(0, 0, 3, 1).rate == 3
