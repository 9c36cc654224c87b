"""Word errors by hand, and by the definition."""

import random

import pytest

from charlm.inference.rescoring.word_errors import WordErrors, count_errors

CASES = [
    ("a b c", "a b c", (0, 0, 0)),
    ("a b c", "a x c", (1, 0, 0)),
    ("a b c", "a c", (0, 1, 0)),
    ("a b c", "a b b c", (0, 0, 1)),
    ("a b c", "", (0, 3, 0)),
    ("", "a b", (0, 0, 2)),
    ("", "", (0, 0, 0)),
    ("a b", "b a", (2, 0, 0)),  # as many errors as deleting one and inserting it again
    ("a b c d", "b c d e", (0, 1, 1)),
    ("recognize speech", "wreck a nice beach", (2, 0, 2)),
    ("the the the", "the", (0, 2, 0)),
]


@pytest.mark.parametrize(("reference", "hypothesis", "counts"), CASES)
def test_counts_by_hand(reference: str, hypothesis: str, counts: tuple[int, int, int]) -> None:
    (found,) = count_errors(reference.split(), [hypothesis.split()])
    assert (found.substitutions, found.deletions, found.insertions) == counts
    assert found.words == len(reference.split())


def test_hypotheses_of_all_lengths_are_counted_together_as_alone() -> None:
    source = random.Random(5)
    reference = source.choices("abcde", k=9)
    rows = [source.choices("abcdefg", k=source.randint(0, 14)) for _ in range(60)]
    together = count_errors(reference, rows)
    assert together == [count_errors(reference, [row])[0] for row in rows]
    assert [each.errors for each in together] == [levenshtein(reference, row) for row in rows]
    for row, found in zip(rows, together, strict=True):
        assert len(row) == len(reference) - found.deletions + found.insertions


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
