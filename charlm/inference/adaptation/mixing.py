"""Runs mixed with one another, and how the weight of a mixture is chosen."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.corpora import Corpus
from charlm.errors import ConfigError, CorpusError, TokenizerError
from charlm.inference.adaptation.adapter import Adapted
from charlm.inference.adaptation.methods import Evaluation
from charlm.inference.adaptation.overlap import VALID, refuse_overlap
from charlm.inference.loading import Loaded, load_part, load_run
from charlm.inference.predictors.mixture import Mixture
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.reader import Reader

__all__ = ["Mixed", "best_weight", "evaluation_of", "mixed", "tune_weight", "with_parts"]

TUNED_ON = 1 << 17
"""Tokens of validation text that a weight is tuned on at most; it is a single number."""

HALVINGS = 20
"""How often the interval that holds a weight is halved."""

DIGITS = 4
"""Decimals of a tuned weight: few, so that giving the printed weight repeats the result."""


def best_weight(first: np.ndarray, second: np.ndarray) -> float:
    """The weight of the first model that predicts best, from the nll (N,) of both in nats.

    The mean nll is convex in the weight, so its slope changes sign once: the weight is found by
    halving, and lies at an end where one model adds nothing to the other.
    """
    ratio = np.exp(np.clip(first - second, -700, 700))  # the second's probability to the first's
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        weight = (low + high) / 2
        gain = np.mean((1 - ratio) / (weight + (1 - weight) * ratio))
        low, high = (weight, high) if gain > 0 else (low, weight)
    return round((low + high) / 2, DIGITS)


def tune_weight(first: Predictor, second: Predictor, tokens: np.ndarray) -> float:
    """The weight of the first model that predicts tokens (N,), boundary first, best.

    Boundaries are read and not counted.  Raises ``CorpusError`` if there is no text.
    """
    ids = tokens[1 : TUNED_ON + 1]
    of_text = ids != BOUNDARY_ID
    if not of_text.any():
        raise CorpusError(
            "there is no validation text to tune the weight of a mixture on",
            "give the weight: `weight=0.5`",
        )
    nll = [Reader(model).nll(ids)[of_text] for model in (first, second)]
    return best_weight(*nll)


@dataclass(frozen=True, repr=False)
class Mixed(Loaded):
    """A mixture, ready to score and to write; ``parts`` are the two runs by themselves.

    All else, such as the settings of the text, is the first run's.
    """

    parts: tuple[Loaded, Loaded]
    weight: float

    @property
    def name(self) -> str:
        """Both runs with their shares."""
        first, second = self.parts
        return f"{self.weight:g} x {first.name} + {1 - self.weight:g} x {second.name}"

    @property
    def static(self) -> "Mixed | None":
        """The mixture without the first run's methods of evaluation time; None if it has none."""
        first, second = self.parts
        return join(first.static, second, self.weight) if isinstance(first, Adapted) else None


def join(first: Loaded, second: Loaded, weight: float, tuned_on: tuple[str, ...] = ()) -> Mixed:
    """The mixture of two runs, with the first one's settings."""
    mixture, run, step = Mixture(first.model, second.model, weight), first.run, first.step
    return Mixed(run, first.tokenizer, mixture, step, (first, second), weight, tuned_on=tuned_on)


def mixed(
    loaded: Loaded,
    other: Path | None,
    weight: float | None = None,
    scored: Iterable[Corpus | TokenStore] = (),
) -> Loaded:
    """A run mixed with the one in the folder ``other``, or as it is if there is none.

    ``weight`` is the first one's; if none is given it is tuned on the validation text of the
    first run, and on nothing else.  Raises ``TokenizerError`` if the tokenizers differ,
    ``ConfigError`` for a weight of nothing, ``CorpusError`` if that text is among the ``scored``
    ones, and what ``load_run``, ``load_part`` and ``tune_weight`` do.
    """
    if other is None:
        if weight is not None:
            raise ConfigError("`weight` does nothing without `other`", "add `other=RUN2`")
        return loaded
    second = load_run(other, device=str(loaded.model.device))
    if loaded.tokenizer.digest() != second.tokenizer.digest():
        raise TokenizerError(
            f"the runs {loaded.run.folder} and {other} have different tokenizers",
            "train both on the same text with the same tokenizer settings",
        )
    tuned_on = loaded.tuned_on
    if weight is None:
        tuned_on = (*tuned_on, VALID)
        valid = load_part(loaded, "valid").tokens
        for content in scored:
            refuse_overlap(loaded, (VALID,), content)
        weight = tune_weight(loaded.model, second.model, valid)
    return join(loaded, second, weight, tuned_on)


def with_parts(loaded: Loaded) -> tuple[Loaded, ...]:
    """The two runs of a mixture by themselves, then the mixture; any other run alone.

    The figures of the parts belong beside those of the mixture.
    """
    return (*loaded.parts, loaded) if isinstance(loaded, Mixed) else (loaded,)


def evaluation_of(loaded: Loaded) -> Evaluation:
    """The methods that help a run, or the first run of a mixture, while it reads."""
    first = loaded.parts[0] if isinstance(loaded, Mixed) else loaded
    return first.evaluation if isinstance(first, Adapted) else Evaluation()
