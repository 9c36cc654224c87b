"""Word error rate: the fewest substitutions, deletions and insertions that make one text another.

Levenshtein 1966; as NIST's sclite counts, with equal costs.  Computed by rapidfuzz.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType

from charlm.errors import CharlmError

__all__ = ["WordErrors", "count_errors", "distances", "levenshtein"]


@dataclass(frozen=True)
class WordErrors:
    """Errors against ``words`` words of references.  They add.

    How many of the errors are substitutions depends on the alignment: where several have the same
    number of errors, rapidfuzz's choice is counted.
    """

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
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Word error rate; above 1 where there are more errors than words."""
        return self.errors / max(self.words, 1)


def count_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> WordErrors:
    """The errors of the words of a hypothesis.  Raises ``CharlmError`` without rapidfuzz."""
    edits = levenshtein().editops(reference, hypothesis).as_list()
    tags = [tag for tag, _, _ in edits]
    return WordErrors(
        tags.count("replace"), tags.count("delete"), tags.count("insert"), len(reference)
    )


def distances(reference: Sequence[str], hypotheses: Iterable[Sequence[str]]) -> list[int]:
    """How many errors each hypothesis has.  Raises ``CharlmError`` without rapidfuzz."""
    distance = levenshtein().distance
    return [distance(reference, hypothesis) for hypothesis in hypotheses]


def levenshtein() -> ModuleType:
    """The functions of rapidfuzz.  Raises ``CharlmError`` where it is not installed."""
    try:
        from rapidfuzz.distance import Levenshtein
    except ModuleNotFoundError:
        raise CharlmError(
            "word error rates need the package rapidfuzz, which is not installed",
            "pip install -c constraints.txt -e '.[rescore]'",
        ) from None
    return Levenshtein
