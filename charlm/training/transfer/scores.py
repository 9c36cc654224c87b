"""What a run that trains another one on has learned and forgotten, in bits per character."""

import math
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

from charlm.config import Config
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.data.preparation.store import TokenStore
from charlm.model.devices import choose_device
from charlm.model.language_model import LanguageModel
from charlm.model.ngram.kneser_ney import NgramModel
from charlm.model.ngram.orders import mean_nll
from charlm.model.ngram.tensors import from_tensors
from charlm.storage.ancestor import ancestor_of
from charlm.storage.run import Run
from charlm.training.reports import BaseScores, Done, Report
from charlm.training.validation import Validation

__all__ = ["bits_per_char", "with_scores"]


def bits_per_char(
    model: LanguageModel | NgramModel, store: TokenStore | None, config: Config
) -> float | None:
    """The score on a validation text, or on its part that training validates on; None without."""
    validation = Validation(store, config.training.valid_tokens)
    if store is None or not len(validation):
        return None
    if isinstance(model, NgramModel):
        nll = mean_nll(model.nll(store.tokens), store.tokens)
    else:
        nll = validation.nll(model, lambda: None) or 0.0  # None only if it is stopped
    return nll * validation.bits_per_char if math.isfinite(nll) else None


def with_scores(
    reports: Iterator[Preparing | Report], run: Run, old: Prepared | None
) -> Iterator[Preparing | Report]:
    """``reports`` of training ``run``, with the scores before and after in the last one.

    Those after are of the best checkpoint on the new validation text.
    """
    base = ancestor_of(run)
    assert base is not None
    with closing(cast("Generator[Any]", reports)):  # closing a training saves it
        for report in reports:
            if not isinstance(report, Done) or not report.finished:
                yield report
                continue
            scores = BaseScores(
                base=base.run,
                new_before=base.before.get("new"),
                new_after=report.valid_bpc,
                old_before=base.before.get("old"),
                old_after=old_score(run, old) if old else None,
            )
            yield replace(report, base=scores)


def old_score(run: Run, old: Prepared) -> float | None:
    """Bits per character of the best model of ``run`` on the validation text of its base."""
    found, size = run.checkpoint(), run.tokenizer().vocab_size
    if run.config.model.kind == "ngram":
        return bits_per_char(from_tensors(found.model, size), old.valid, run.config)
    model = LanguageModel.from_tensors(run.config.model, size, found.model)
    model.to(choose_device(run.config.training.device))
    return bits_per_char(model.eval(), old.valid, run.config)
