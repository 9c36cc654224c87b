"""What rescoring did: lists, errors before and after, and what looks like a mistake."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from charlm.data.formats.references import References
from charlm.inference.rescoring.hypotheses import RankedList, RescoringWeights
from charlm.inference.rescoring.word_errors import WordErrors, count_errors, distances

__all__ = ["ErrorReport", "RescoringSummary", "SummaryCounter"]


@dataclass(frozen=True)
class ErrorReport:
    """Word errors of the hypotheses with the best given score (``given``), with the best total
    (``rescored``), and of the best hypotheses there are (``oracle``).
    """

    given: WordErrors = field(default_factory=WordErrors)
    rescored: WordErrors = field(default_factory=WordErrors)
    oracle: WordErrors = field(default_factory=WordErrors)

    def add(self, ranked: RankedList, reference: Sequence[str]) -> "ErrorReport":
        """A report that also counts the list ``ranked``."""
        texts = [row.hypothesis.text.split() for row in ranked.rows]
        errors = distances(reference, texts)
        chosen = (ranked.best_given, ranked.best, errors.index(min(errors)))
        given, rescored, oracle = (count_errors(reference, texts[at]) for at in chosen)
        return ErrorReport(self.given + given, self.rescored + rescored, self.oracle + oracle)


@dataclass(frozen=True)
class RescoringSummary:
    """What was done with all lists.

    ``smallest`` and ``largest`` are sizes of lists; ``with_unknown`` counts hypotheses.  The scores
    of ``ordered`` lists differ, and ``backwards`` of these begin with the worst.  ``costs`` says
    that lower scores were taken to be better.  ``errors`` is None without references.
    """

    format: str
    lists: int
    hypotheses: int
    smallest: int
    largest: int
    with_unknown: int
    ordered: int
    backwards: int
    weights: RescoringWeights
    end: str
    costs: bool
    errors: ErrorReport | None

    @property
    def runs_backwards(self) -> bool:
        """Whether most lists begin with their worst score: perhaps costs, or perhaps none."""
        return 2 * self.backwards > self.ordered

    @property
    def nothing_to_choose(self) -> bool:
        """Whether every list has one hypothesis only, which is rarely meant."""
        return self.largest == 1

    @property
    def all_in_one_list(self) -> bool:
        """Whether more than two hypotheses form one single list, which is rarely meant."""
        return self.lists == 1 and self.hypotheses > 2

    def record(self) -> dict[str, Any]:
        """The summary for JSON; word error rates where there are references."""
        errors = vars(self.errors) if self.errors else {}
        return {
            "type": "summary",
            "format": self.format,
            "lists": self.lists,
            "hypotheses": self.hypotheses,
            "smallest_list": self.smallest,
            "largest_list": self.largest,
            "with_unknown": self.with_unknown,
            "lm_weight": self.weights.lm,
            "word_bonus": self.weights.bonus,
            "end": self.end,
            **{name: error_record(found) for name, found in errors.items()},
        }


class SummaryCounter:
    """Counts lists as they pass."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.with_unknown = self.ordered = self.backwards = 0
        self.errors: ErrorReport | None = None

    def count(self, ranked: RankedList, references: References | None) -> RankedList:
        """Count a list, and its errors if there are references; returns the list."""
        given = [row.given for row in ranked.rows]
        self.sizes.append(len(given))
        self.with_unknown += sum(row.unknown > 0 for row in ranked.rows)
        self.ordered += min(given) < max(given)
        self.backwards += given[0] == min(given) < max(given)
        if references is not None:
            report = self.errors or ErrorReport()
            self.errors = report.add(ranked, references.words[ranked.id])
        return ranked

    def summary(
        self, format: str, end: str, sign: int, weights: RescoringWeights
    ) -> RescoringSummary:
        """What was counted, with how the lists were read and ranked."""
        return RescoringSummary(
            format=format,
            lists=len(self.sizes),
            hypotheses=sum(self.sizes),
            smallest=min(self.sizes),
            largest=max(self.sizes),
            with_unknown=self.with_unknown,
            ordered=self.ordered,
            backwards=self.backwards,
            weights=weights,
            end=end,
            costs=sign < 0,
            errors=self.errors,
        )


def error_record(found: WordErrors) -> dict[str, float]:
    """A word error rate and the counts that it is made of."""
    return {
        "wer": found.rate,
        "substitutions": found.substitutions,
        "deletions": found.deletions,
        "insertions": found.insertions,
        "words": found.words,
    }
