"""A file of n-best lists on its way through a model: scored, perhaps tuned on, ranked."""

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
    Ranked,
    ScoredList,
    Weights,
    choose_end,
    rank,
    score_lists,
)
from charlm.inference.rescoring.weights import figures_of, tabulate, tune

__all__ = ["Reranking", "Scored", "open_reranking", "rerank"]

SIGNS = {"loglik": 1, "cost": -1}


@dataclass(frozen=True)
class Reranking:
    """Lists that are known to be whole, ``count`` hypotheses in all, and how to rank them.

    ``end`` names what stands behind each, as ``end_ids`` (n,).  ``sign`` is -1 where the given
    scores are costs.  Without ``weights`` they are tuned on the references.
    """

    file: NbestFile
    count: int
    references: References | None
    end: str
    end_ids: np.ndarray
    sign: int
    weights: Weights | None


@dataclass(frozen=True)
class Scored:
    """So many more hypotheses have been scored."""

    hypotheses: int


def open_reranking(
    loaded: Loaded,
    source: str,
    *,
    format: str | None = None,
    given: str = "loglik",
    lm_weight: float = 1.0,
    word_bonus: float = 0.0,
    end: str | None = None,
    tune: Path | None = None,
    refs: Path | None = None,
) -> Reranking:
    """Open lists and references and read both once, so that bad ones are refused at the start.

    References are there to ``tune`` the weights on, or only to count errors.  Raises
    ``CorpusError`` naming file and line, and ``ConfigError`` for what contradicts itself.
    """
    weights = Weights(lm_weight, word_bonus)
    if tune and (refs or weights != Weights()):
        raise ConfigError(
            "--tune finds the weights itself, on references of its own",
            "leave --refs, --lm-weight and --word-bonus out",
        )
    if not all(map(math.isfinite, (lm_weight, word_bonus))):
        raise ConfigError(
            f"the weights must be finite numbers, got {lm_weight} and {word_bonus}",
            "for example --lm-weight 0.5 --word-bonus 0",
        )
    file = open_nbest(source, format)
    path = tune or refs
    references = read_references(path, file.format) if path else None
    count = check_lists(file, references)
    end, end_ids = choose_end(loaded, end)
    sign = SIGNS[given]
    return Reranking(file, count, references, end, end_ids, sign, None if tune else weights)


def rerank(loaded: Loaded, job: Reranking) -> Iterator[Scored | Weights | Ranked]:
    """Yield what was scored as it goes on, the weights as soon as they are known, every list.

    While weights are tuned some numbers of each hypothesis are kept, but not its text.  Raises
    ``ModelError`` for a text of probability zero.
    """
    lists = possible(loaded, job)
    if job.weights is not None:
        yield job.weights
        for scored in lists:
            yield Scored(len(scored.log_p))
            yield rank(scored, job.weights, job.sign)
        return
    assert job.references is not None
    kept: list[tuple[np.ndarray, np.ndarray]] = []
    figures: list[np.ndarray] = []
    for scored in lists:
        kept.append((scored.log_p, scored.unknown))
        reference = job.references.words[scored.nbest.id]
        figures.append(figures_of(rank(scored, Weights(), job.sign), reference))
        yield Scored(len(scored.log_p))
    weights = tune(tabulate(figures))
    yield weights
    for nbest, (log_p, unknown) in zip(job.file.lists(), kept, strict=True):
        yield rank(ScoredList(nbest, log_p, unknown), weights, job.sign)


def possible(loaded: Loaded, job: Reranking) -> Iterator[ScoredList]:
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
