"""Evaluation-time methods: their tuning as it goes on, and the static figures beside theirs."""

from collections.abc import Iterable
from typing import Any

from charlm.console.streams import talk
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.corpora import Corpus
from charlm.inference.adaptation.adapter import Adapted, Adapter
from charlm.inference.adaptation.methods import Evaluation
from charlm.inference.adaptation.overlap import refuse_overlap
from charlm.inference.adaptation.tuning import Trial, tune, tuning_ids
from charlm.inference.loading import Loaded
from charlm.metrics import Score

__all__ = ["adaptation_lines", "adaptation_table", "in_short", "show_adapted"]


def show_adapted(
    loaded: Loaded, evaluation: Evaluation, scored: Iterable[Corpus | TokenStore]
) -> Adapted:
    """The run read with the methods of ``evaluation``, tuned if it says so, every trial told.

    Raises ``CorpusError`` if the text to tune on overlaps those to be scored, and what reading,
    tuning and adapting do.
    """
    adapter = Adapter(loaded)
    if evaluation.free:
        ids = tuning_ids(loaded, evaluation)
        for content in scored:
            refuse_overlap(loaded, evaluation.tune_on, content)
        talk().print(f"tuning on {len(ids):,} tokens of {', '.join(evaluation.tune_on)}")
        evaluation = best_of(tune(adapter, evaluation, ids))
        talk().print(f"found {evaluation}", markup=False)
    return adapter.adapt(evaluation)


def best_of(trials: Iterable[Trial]) -> Evaluation:
    """Print trials as they come; returns the best one's values."""
    found = Evaluation()
    for trial in trials:
        mark = "*" if trial.better else " "
        talk().print(f"  {trial.nll:.4f} {mark} {trial.evaluation}", markup=False)
        found = trial.evaluation if trial.better else found
    return found


def adaptation_table(evaluation: Evaluation) -> dict[str, Any]:
    """The methods with all values, and the options that give the same again."""
    found = {"options": str(evaluation), "tuned_on": list(evaluation.tune_on)}
    return {**evaluation.table(), **found}


def adaptation_lines(evaluation: Evaluation, score: Score, static: Score) -> dict[str, str]:
    """What people are told of them."""
    return {
        "methods": str(evaluation),
        "static": in_short(static),
        "gain": f"{static.mean_nll - score.mean_nll:.4f} nats per token",
    }


def in_short(score: Score) -> str:
    """A score in one line."""
    return (
        f"{score.perplexity:,.3f} per token, {score.bpc:.4f} bpc, {score.bpb:.4f} bpb, "
        f"{score.mean_nll:.4f} nats per token"
    )
