"""Two models as one: the linear interpolation of their probabilities (Jelinek and Mercer 1980)."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from charlm.config import BOUNDARY_ID
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.corpora import Corpus
from charlm.errors import ConfigError, CorpusError, TokenizerError
from charlm.inference.adaptation.overlap import VALID, refuse_overlap
from charlm.inference.loading import Loaded, load_part, load_run
from charlm.inference.predictors.predictor import Predictor, Reader, StepDecoder

__all__ = ["Mixed", "Mixture", "best_weight", "mixed", "tune_weight", "with_parts"]

TUNED_ON = 1 << 17
"""Tokens of validation text that a weight is tuned on at most; it is a single number."""

HALVINGS = 20
"""Of the interval that holds a weight."""

WAY_OUT = "score another text, or give the weight: --mix-weight 0.5"

DIGITS = 4
"""Of a weight that was tuned, so that what is printed gives the same when it is given."""


class Mixture:
    """weight * first + (1 - weight) * second, for models with the same vocabulary."""

    def __init__(self, first: Predictor, second: Predictor, weight: float) -> None:
        """Raises ``ConfigError`` for a weight that is not between 0 and 1."""
        if not 0 <= weight <= 1:
            raise ConfigError(
                f"the weight of a mixture must be between 0 and 1, got {weight:g}",
                "leave --mix-weight out: it is then tuned on the validation text",
            )
        self.first, self.second, self.weight = first, second, weight
        self.vocab_size = first.vocab_size
        self.mode = first.mode if first.mode == second.mode else f"{first.mode} + {second.mode}"

    @property
    def device(self) -> torch.device:
        """The first model's."""
        return self.first.device

    def reader(self) -> "MixedReader":
        """A new stream."""
        return MixedReader(self.first.reader(), self.second.reader(), self.weight)

    def readers(self, lines: Sequence[np.ndarray]) -> "list[MixedReader]":
        """A new stream for each line."""
        both = zip(self.first.readers(lines), self.second.readers(lines), strict=True)
        return [MixedReader(*readers, self.weight) for readers in both]

    def decoder(self, lanes: int = 1) -> "MixedDecoder":
        """New lanes."""
        return MixedDecoder(self, lanes)

    def read_lines(self, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Each line by both."""
        both = zip(self.first.read_lines(lines), self.second.read_lines(lines), strict=True)
        return [mix_nll(*nll, self.weight) for nll in both]


class MixedReader:
    """Reads one stream with two models."""

    def __init__(self, first: Reader, second: Reader, weight: float) -> None:
        self.first, self.second, self.weight = first, second, weight
        self.chunk = min(first.chunk, second.chunk)

    def read(self, ids: np.ndarray) -> np.ndarray:
        """ids (N,) -> nll (N,) in nats, float64."""
        return mix_nll(self.first.read(ids), self.second.read(ids), self.weight)

    def predict(self, ids: np.ndarray) -> Tensor:
        """ids (T,), at most ``chunk`` -> the log-probabilities (T, V) that met them."""
        first = self.first.predict(ids)
        return mix_log_probs(first, self.second.predict(ids).to(first.device), self.weight)


class MixedDecoder:
    """Reads tokens in lanes with two models; what comes out is normalised."""

    def __init__(self, mixture: Mixture, lanes: int) -> None:
        self.weight = mixture.weight
        self.parts: tuple[StepDecoder, StepDecoder] = (
            mixture.first.decoder(lanes),
            mixture.second.decoder(lanes),
        )
        self.devices = mixture.first.device, mixture.second.device

    def read(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T > 0 -> log-probabilities (B, V) after the last."""
        return self.mix([part.read(given) for part, given in self.hand_out(tokens)])

    def step(self, tokens: Tensor) -> Tensor:
        """tokens (B,) -> log-probabilities (B, V) of what follows."""
        return self.mix([part.step(given) for part, given in self.hand_out(tokens)])

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order; one may be taken several times."""
        for part, given in self.hand_out(lanes):
            part.select(given)

    def hand_out(self, tensor: Tensor) -> list[tuple[StepDecoder, Tensor]]:
        """The tensor where each model wants it."""
        places = zip(self.parts, self.devices, strict=True)
        return [(part, tensor.to(device)) for part, device in places]

    def mix(self, logits: Sequence[Tensor]) -> Tensor:
        """The logits (B, V) of both -> the mixture's log-probabilities (B, V)."""
        first, second = (part.to(self.devices[0]).log_softmax(dim=-1) for part in logits)
        return mix_log_probs(first, second, self.weight)


def mix_nll(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """The nll (N,) of both in nats -> the mixture's."""
    with np.errstate(divide="ignore"):  # a weight of 0 or 1 leaves one of them alone
        nll: np.ndarray = -np.logaddexp(np.log(weight) - first, np.log1p(-weight) - second)
    return nll


def mix_log_probs(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """The same for log-probabilities."""
    logs = [math.log(share) if share else -math.inf for share in (weight, 1 - weight)]
    return torch.logaddexp(first.double() + logs[0], second.double() + logs[1])


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
            "give the weight: --mix-weight 0.5",
        )
    nll = [model.reader().read(ids)[of_text] for model in (first, second)]
    return best_weight(*nll)


@dataclass(frozen=True)
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
            raise ConfigError("--mix-weight does nothing without --mix", "add --mix RUN2")
        return loaded
    second = load_run(other, device=str(loaded.model.device))
    if loaded.tokenizer.digest() != second.tokenizer.digest():
        raise TokenizerError(
            f"the runs {loaded.run.folder} and {other} have different tokenizers",
            "train both on the same text with the same tokenizer settings",
        )
    if weight is None:
        valid = load_part(loaded, "valid").tokens
        for content in scored:
            refuse_overlap(loaded, (VALID,), content, WAY_OUT)
        weight = tune_weight(loaded.model, second.model, valid)
    mixture = Mixture(loaded.model, second.model, weight)
    return Mixed(loaded.run, loaded.tokenizer, mixture, loaded.step, (loaded, second), weight)


def with_parts(loaded: Loaded) -> tuple[Loaded, ...]:
    """The two runs of a mixture by themselves, then the mixture; any other run alone.

    The figures of the parts belong beside those of the mixture.
    """
    return (*loaded.parts, loaded) if isinstance(loaded, Mixed) else (loaded,)
