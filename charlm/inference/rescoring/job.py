"""A file of n-best lists and a model: scored, perhaps tuned on references, ranked."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charlm.data.formats.nbest import NbestFile, open_nbest
from charlm.data.formats.references import References, check_lists, read_references
from charlm.errors import ConfigError, ModelError
from charlm.inference.loading import Loaded
from charlm.inference.rescoring.hypotheses import (
    RankedList,
    RescoringWeights,
    ScoredList,
    choose_end,
    rank,
    score_lists,
)
from charlm.inference.rescoring.summary import RescoringSummary
from charlm.inference.rescoring.weights import figures_of, tabulate, tune
from charlm.inference.rescoring.word_errors import levenshtein

__all__ = ["RescoringJob", "RescoringProgress", "open_rescoring", "rescore"]

SIGNS = {"loglik": 1, "cost": -1}
"""What ``given`` scores are: log-likelihoods, higher is better, or costs, lower is better."""


@dataclass(frozen=True)
class RescoringJob:
    """Lists that have been read once and found whole, and how to rank them.

    ``count`` is the number of hypotheses.  ``end`` names what is predicted behind each, as
    ``end_ids`` (n,).  ``sign`` is -1 where the given scores are costs.  Where ``weights`` is None
    they are tuned on the references.
    """

    file: NbestFile
    count: int
    references: References | None
    end: str
    end_ids: np.ndarray
    sign: int
    weights: RescoringWeights | None


@dataclass(frozen=True)
class RescoringProgress:
    """How many more ``hypotheses`` have been scored since the last such record."""

    hypotheses: int


def open_rescoring(
    loaded: Loaded,
    source: str | Path,
    *,
    input_format: str | None = None,
    given: str = "loglik",
    lm_weight: float = 1.0,
    word_bonus: float = 0.0,
    end: str | None = None,
    tune: str | Path | None = None,
    refs: str | Path | None = None,
) -> RescoringJob:
    """Open lists and references and read both once, so that bad ones are refused at the start.

    ``tune`` names references to find the weights on, ``refs`` references to count errors against.
    Raises ``CorpusError`` naming file and line, ``ConfigError`` for arguments that are unknown or
    contradict each other, and ``CharlmError`` if references need rapidfuzz and it is missing.
    """
    weights = weights_of(lm_weight, word_bonus, tunes=tune is not None, counts=refs is not None)
    if given not in SIGNS:
        raise ConfigError(f"`given` must be one of {', '.join(SIGNS)}, got {given!r}", "choose one")
    path = tune or refs
    if path:
        levenshtein()
    end, end_ids = choose_end(loaded, end)
    file = open_nbest(source, input_format)
    references = read_references(path, file.format) if path else None
    count = check_lists(file, references)
    return RescoringJob(file, count, references, end, end_ids, SIGNS[given], weights)


def weights_of(
    lm_weight: float, word_bonus: float, *, tunes: bool, counts: bool
) -> RescoringWeights | None:
    """The weights that were given, None where they are to be tuned.  Raises ``ConfigError``."""
    weights = RescoringWeights(lm_weight, word_bonus)
    if tunes and (counts or weights != RescoringWeights()):
        raise ConfigError(
            "`tune` finds the weights itself, on references of its own",
            "leave `refs`, `lm_weight` and `word_bonus` out",
        )
    if not all(map(math.isfinite, (lm_weight, word_bonus))):
        raise ConfigError(
            f"the weights must be finite numbers, got {lm_weight} and {word_bonus}",
            "for example `lm_weight=0.5`",
        )
    return None if tunes else weights


def rescore(
    loaded: Loaded, job: RescoringJob
) -> Iterator[RescoringProgress | RankedList | RescoringSummary]:
    """Yield how many hypotheses have been scored as it goes on, every list, at last the summary.

    While weights are tuned, ln p of each hypothesis is kept, but not its text.  Raises
    ``ModelError`` for a text of probability zero.
    """
    if job.weights is not None:
        summary = summary_of(job, job.weights)
        for scored in possible(loaded, job):
            yield RescoringProgress(len(scored.log_p))
            ranked = rank(scored, job.weights, job.sign)
            summary = summary.add(ranked, job.references)
            yield ranked
    else:
        kept: list[tuple[np.ndarray, np.ndarray]] = []
        figures: list[np.ndarray] = []
        assert job.references is not None
        for scored in possible(loaded, job):
            kept.append((scored.log_p, scored.unknown))
            reference = job.references.words[scored.nbest.id]
            figures.append(figures_of(rank(scored, RescoringWeights(), job.sign), reference))
            yield RescoringProgress(len(scored.log_p))
        weights = tune(tabulate(figures))
        summary = summary_of(job, weights)
        for nbest, (log_p, unknown) in zip(job.file.lists(), kept, strict=True):
            ranked = rank(ScoredList(nbest, log_p, unknown), weights, job.sign)
            summary = summary.add(ranked, job.references)
            yield ranked
    yield summary


def summary_of(job: RescoringJob, weights: RescoringWeights) -> RescoringSummary:
    """The summary of no lists yet, ranked with ``weights``."""
    form, costs = job.file.format, job.sign < 0
    return RescoringSummary(format=form, end=job.end, costs=costs, weights=weights)


def possible(loaded: Loaded, job: RescoringJob) -> Iterator[ScoredList]:
    """The lists, scored.  Raises ``ModelError`` where a total would be infinite."""
    lists = score_lists(loaded.model, loaded.tokenizer, job.end_ids, job.file.lists())
    for scored in lists:
        for hypothesis, log_p in zip(scored.nbest.hypotheses, scored.log_p.tolist(), strict=True):
            if not math.isfinite(log_p):
                raise ModelError(
                    f"{job.file.name} line {hypothesis.line} has probability zero for the model",
                    "use a model that knows every symbol, or take that line out",
                )
        yield scored
