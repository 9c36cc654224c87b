"""What scores and writes: one interface for LSTMs, n-gram models and what is made of them.

Shapes: N tokens of a stream, T at a time, B lanes, V vocabulary.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.inference.predictors.decoder import open_decoder
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import StreamReader, read_ahead, read_together

__all__ = ["Predictor", "Reader", "Recurrent", "StepDecoder", "in_precision"]


class Reader(Protocol):
    """Reads one stream, boundary first, and says how probable each token was, given all before.

    How the stream is cut into calls does not matter.
    """

    chunk: int
    """Most tokens that ``predict`` takes at a time."""

    def read(self, ids: np.ndarray) -> np.ndarray:
        """ids (N,) that come next -> nll (N,) in nats, float64."""
        ...

    def predict(self, ids: np.ndarray) -> Tensor:
        """ids (T,), at most ``chunk`` -> the log-probabilities (T, V) that met them."""
        ...


class StepDecoder(Protocol):
    """Reads tokens in B lanes and says how probable each token of the vocabulary comes next.

    What is returned need not be normalised: its softmax is the distribution.
    """

    def read(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T > 0 -> logits (B, V) after the last; a prompt, read at once."""
        ...

    def step(self, tokens: Tensor) -> Tensor:
        """tokens (B,) -> logits (B, V) of what follows."""
        ...

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order; one may be taken several times."""
        ...


class Predictor(Protocol):
    """A language model as scoring and sampling see it."""

    vocab_size: int
    mode: str
    """``static``, or what changes its predictions while it reads."""

    @property
    def device(self) -> torch.device:
        """Where the tokens of a decoder have to be."""
        ...

    def reader(self) -> Reader:
        """A new stream."""
        ...

    def readers(self, lines: Sequence[np.ndarray]) -> Sequence[Reader]:
        """A new stream for each of ``lines`` (n,), which it is to read.

        To rounding what ``reader`` gives; lines may be empty and of one type.
        """
        ...

    def decoder(self, lanes: int = 1) -> StepDecoder:
        """New lanes, each at the start of a stream; the boundary has still to be read."""
        ...

    def read_lines(self, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The nll (n,) in nats of each of ``lines`` (n,), each a stream of its own.

        To rounding what ``reader`` gives line by line; lines may be empty and of one type.
        """
        ...


class Recurrent:
    """A recurrent network, its weights as they are; a decoder may round them to ``precision``."""

    mode = "static"

    def __init__(self, network: LanguageModel, precision: str = "float32") -> None:
        self.network = network
        self.precision = precision
        self.vocab_size = network.vocab_size

    @property
    def device(self) -> torch.device:
        """The network's."""
        return self.network.head.bias.device

    def reader(self) -> StreamReader:
        """A new stream."""
        return StreamReader(self.network)

    def readers(self, lines: Sequence[np.ndarray]) -> Sequence[Reader]:
        """Lines of about the same length side by side."""
        return read_ahead(self.network, lines)

    def decoder(self, lanes: int = 1) -> StepDecoder:
        """New lanes."""
        return open_decoder(self.network, lanes, self.precision)

    def read_lines(self, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Lines of about the same length side by side."""
        return read_together(self.network, lines)


def in_precision(model: Predictor, precision: str) -> Predictor:
    """The model with decoders that round the weights.

    Raises ``ConfigError`` for another precision than float32 if the model has no weights.
    """
    if precision == "float32":
        return model
    if isinstance(model, Recurrent):
        return Recurrent(model.network, precision)
    raise ConfigError(
        f"--precision {precision} is for recurrent networks, and this is none",
        "leave --precision out",
    )
