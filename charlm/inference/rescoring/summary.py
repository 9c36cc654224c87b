"""What rescoring did: lists, errors before and after, and what looks like a mistake."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from charlm.data.formats.references import References
from charlm.inference.rescoring.hypotheses import RankedList, RescoringWeights
from charlm.inference.rescoring.word_errors import WordErrors, count_errors, distances

__all__ = ["ErrorReport", "RescoringSummary"]


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


@dataclass(frozen=True, kw_only=True)
class RescoringSummary:
    """What was done with all lists.

    ``format`` is that of the file, ``end`` what was predicted behind each hypothesis; ``costs``
    says that lower scores were taken to be better.  ``smallest`` and ``largest`` are sizes of
    lists; ``with_unknown`` counts hypotheses.  The scores of ``ordered`` lists differ, and
    ``backwards`` of these begin with the worst.  ``errors`` is None without references.
    """

    format: str
    end: str
    costs: bool
    weights: RescoringWeights
    lists: int = 0
    hypotheses: int = 0
    smallest: int = 0
    largest: int = 0
    with_unknown: int = 0
    ordered: int = 0
    backwards: int = 0
    errors: ErrorReport | None = None

    def add(self, ranked: RankedList, references: References | None) -> "RescoringSummary":
        """A summary that also counts a list, and its errors if there are references."""
        given, errors = [row.given for row in ranked.rows], self.errors
        if references is not None:
            errors = (errors or ErrorReport()).add(ranked, references.words[ranked.id])
        return replace(
            self,
            lists=self.lists + 1,
            hypotheses=self.hypotheses + len(given),
            smallest=min(self.smallest or len(given), len(given)),
            largest=max(self.largest, len(given)),
            with_unknown=self.with_unknown + sum(row.unknown > 0 for row in ranked.rows),
            ordered=self.ordered + (min(given) < max(given)),
            backwards=self.backwards + (given[0] == min(given) < max(given)),
            errors=errors,
        )

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


def error_record(found: WordErrors) -> dict[str, float]:
    """A word error rate and the counts that it is made of."""
    return {"wer": found.rate, **vars(found)}
