"""Word error rate: the fewest substitutions, deletions and insertions that make one text another.

Levenshtein 1966; as NIST's sclite counts, with equal costs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["WordErrors", "count_errors"]

ERROR = 1 << 40
DELETION = 1 << 20
INSERTION = 1
"""One number counts all: errors first, so that the fewest win, then deletions and insertions."""


@dataclass(frozen=True)
class WordErrors:
    """Errors against ``words`` words of references.  They add."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    words: int = 0

    def __add__(self, other: "WordErrors") -> "WordErrors":
        return WordErrors(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.words + other.words,
        )

    @property
    def errors(self) -> int:
        """All of them."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Word error rate; above 1 where there are more errors than words."""
        return self.errors / max(self.words, 1)


def count_errors(reference: Sequence[str], hypotheses: Iterable[Sequence[str]]) -> list[WordErrors]:
    """The errors of each of the hypotheses about one reference.

    Of several ways with the fewest errors, the one with most substitutions is counted.
    """
    rows = [list(words) for words in hypotheses]
    number = {word: at for at, word in enumerate(set(reference))}
    longest = max(map(len, rows), default=0)
    words = np.full((len(rows), longest), -1, dtype=np.int64)
    for row, hypothesis in zip(words, rows, strict=True):
        row[: len(hypothesis)] = [number.get(word, -1) for word in hypothesis]
    inserted = np.arange(longest + 1) * (ERROR + INSERTION)
    costs = np.tile(inserted, (len(rows), 1))  # (n, words + 1) after no word of the reference
    for word in reference:
        change = costs[:, :-1] + np.where(words == number[word], 0, ERROR)
        costs += ERROR + DELETION
        np.minimum(costs[:, 1:], change, out=costs[:, 1:])
        # Insertions go on from the column before: a running minimum once their cost is taken off.
        costs = np.minimum.accumulate(costs - inserted, axis=1) + inserted
    ends = costs[np.arange(len(rows)), [len(row) for row in rows]]
    return [as_errors(int(cost), len(reference)) for cost in ends]


def as_errors(cost: int, words: int) -> WordErrors:
    """What a cost counts."""
    errors, rest = divmod(cost, ERROR)
    deletions, insertions = divmod(rest, DELETION)
    return WordErrors(errors - deletions - insertions, deletions, insertions, words)
