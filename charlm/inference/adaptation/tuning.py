"""The values of evaluation-time methods, chosen on text that is not scored."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np

from charlm.data.preparation.encoding import encode_documents
from charlm.data.preparation.store import TokenStore
from charlm.data.preparation.streams import cut_text
from charlm.data.sources.corpora import Corpus
from charlm.errors import ConfigError, CorpusError, ModelError
from charlm.inference.adaptation.adapter import Adapted, Adapter
from charlm.inference.adaptation.methods import Evaluation
from charlm.inference.adaptation.overlap import VALID, refuse_overlap
from charlm.inference.loading import Loaded, load_part, open_for
from charlm.inference.predictors.reader import Reader

__all__ = ["Trial", "TuningText", "adapt_run", "tune", "tuning_ids"]

MOST_TOKENS = 20_000
"""Tuning reads at most so many."""

FACTORS = {
    "dynamic.lr": 2.0,
    "dynamic.decay": 4.0,
    "cache.theta": 2.0,
    "cache.share": 2.0,
    "temperature.value": 1.08,
}
"""By how much a value changes at a time; by the square root of it in the second pass."""

PASSES = 2
MOST_MOVES = 6  # of one value in one direction
GAIN = 1e-4  # nats per token that a move must bring at least


@dataclass(frozen=True)
class TuningText:
    """The texts that values are tuned on, by name, and the ``tokens`` that are read of them."""

    names: tuple[str, ...]
    tokens: int


@dataclass(frozen=True)
class Trial:
    """What some values give: nats per token of the tuning text; ``better`` than all before."""

    evaluation: Evaluation
    nll: float
    better: bool


def adapt_run(
    loaded: Loaded, evaluation: Evaluation, scored: Iterable[Corpus | TokenStore] = ()
) -> Iterator[TuningText | Trial | Adapted]:
    """Tune what ``evaluation`` leaves free; the last record is the run with its methods.

    Raises ``CorpusError`` if the text to tune on is among the ``scored`` ones, before it is tuned
    on, and what ``tuning_ids``, ``tune`` and ``Adapter.model`` do.
    """
    adapter = Adapter(loaded)
    if evaluation.free:
        ids = tuning_ids(loaded, evaluation)
        for content in scored:
            refuse_overlap(loaded, evaluation.tune_on, content)
        yield TuningText(evaluation.tune_on, len(ids))
        for trial in tune(adapter, evaluation, ids):
            yield trial
            evaluation = trial.evaluation if trial.better else evaluation
    model, tuned_on = adapter.model(evaluation), evaluation.tune_on
    run, tokenizer, step = loaded.run, loaded.tokenizer, loaded.step
    yield Adapted(run, tokenizer, model, step, evaluation, loaded, tuned_on=tuned_on)


def tuning_ids(loaded: Loaded, evaluation: Evaluation) -> np.ndarray:
    """The ids (N,) of the texts to tune on, at most ``MOST_TOKENS``, after the first boundary.

    Raises what ``load_part``, ``open_for`` and encoding do.
    """
    parts: list[np.ndarray] = []
    missing = MOST_TOKENS
    for source in evaluation.tune_on:
        for ids in ids_of(loaded, source):
            parts.append(ids[:missing])
            missing -= len(parts[-1])
            if not missing:
                return np.concatenate(parts)
    return np.concatenate(parts)


def ids_of(loaded: Loaded, source: str) -> Iterator[np.ndarray]:
    """The ids of a text in arrays (n,), from the first token on, boundaries between documents."""
    if source == VALID:
        yield load_part(loaded, VALID).tokens[1:]
        return
    pieces = encode_documents(loaded.tokenizer, open_for(loaded, (source,)))
    yield from (part.ids for part in cut_text(loaded.tokenizer, pieces, "never"))


def tune(adapter: Adapter, evaluation: Evaluation, ids: np.ndarray) -> Iterator[Trial]:
    """Try values for what ``evaluation`` leaves free; the last better trial has the best ones.

    Climbs along one value after the other, by large factors first, then by smaller ones.  Raises
    ``CorpusError`` if ids (N,) hold no text, and what ``Adapter.model`` does.
    """
    if not (ids != 0).any():
        raise CorpusError("the text to tune on is empty", "name one that has words in it")
    score = cache(partial(mean_nll, adapter, ids))
    best = Trial(evaluation, score(evaluation), better=True)
    yield best
    for number in range(PASSES):
        for name in evaluation.free:
            factor = FACTORS[name] ** 0.5**number
            for direction in (factor, 1 / factor):
                before = best
                for trial in climb(score, best, name, direction):
                    yield trial
                    best = trial if trial.better else best
                if best is not before:
                    break  # the other direction leads back


def climb(
    score: Callable[[Evaluation], float], best: Trial, name: str, factor: float
) -> Iterator[Trial]:
    """Multiply a value again and again, while that helps."""
    for _ in range(MOST_MOVES):
        try:
            value = float(f"{best.evaluation.value(name) * factor:.3g}")
            evaluation = best.evaluation.change(name, value)
        except ConfigError:  # out of range
            return
        nll = score(evaluation)
        trial = Trial(evaluation, nll, better=nll < best.nll - GAIN)
        yield trial
        if not trial.better:
            return
        best = trial


def mean_nll(adapter: Adapter, ids: np.ndarray, evaluation: Evaluation) -> float:
    """Nats per token of ids (N,), boundaries read and not counted; infinite if it went astray."""
    model = adapter.model(evaluation)
    try:
        nll = float(Reader(model).nll(ids)[ids != 0].mean())
    except ModelError:
        return math.inf
    return nll if math.isfinite(nll) else math.inf
