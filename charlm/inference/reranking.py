"""A file of n-best lists on its way through a model: scored, perhaps tuned on, ranked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charlm.data.nbest import NbestFile, open_nbest
from charlm.data.references import References, check_lists, read_references
from charlm.errors import ConfigError
from charlm.inference.loading import Loaded
from charlm.inference.rescoring import Ranked, ScoredList, Weights, choose_end, rank, score_lists
from charlm.inference.weights import figures_of, tabulate, tune

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
    references: Path | None = None,
    end: str | None = None,
    given: str = "loglik",
    weights: Weights | None = None,
) -> Reranking:
    """Open lists and references and read both once, so that bad ones are refused at the start.

    Raises ``CorpusError`` naming file and line, and ``ConfigError`` if there is nothing to tune on.
    """
    if weights is None and references is None:
        raise ConfigError("weights can only be tuned with references", "give some, or the weights")
    file = open_nbest(source, format)
    known = None if references is None else read_references(references, file.format)
    count = check_lists(file, known)
    end, end_ids = choose_end(loaded, end)
    return Reranking(file, count, known, end, end_ids, SIGNS[given], weights)


def rerank(loaded: Loaded, job: Reranking) -> Iterator[Scored | Weights | Ranked]:
    """Yield what was scored as it goes on, the weights as soon as they are known, every list.

    While weights are tuned some numbers of each hypothesis are kept, but not its text.
    """
    lists = score_lists(loaded.model, loaded.tokenizer, job.end_ids, job.file.lists())
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
