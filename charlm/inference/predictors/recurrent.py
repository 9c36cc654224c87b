"""A recurrent network as a ``Predictor``."""

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.inference.predictors.predictor import Predictor, State
from charlm.model.heads import widen
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import evaluating, nll_of_stream

__all__ = ["NetworkPredictor", "Recurrent", "in_precision"]


class NetworkPredictor(Predictor):
    """A predictor that stands on a network; a kind of it defines ``forward`` for ``advance``.

    Besides log-probabilities it gives the features that the network's head reads, which the cache
    compares, and logits, which a temperature divides.
    """

    def __init__(self, network: LanguageModel) -> None:
        self.network, self.vocab_size = network, network.vocab_size
        self.device = network.head.bias.device

    @abstractmethod
    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """tokens (B, T) -> features (B, T, H) and logits (B, T, V) after each, and the state."""

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """See ``Predictor``; log-probabilities are float32, or float64 if the weights are."""
        _, logits, state = self.forward(tokens, state)
        with torch.inference_mode():
            return widen(logits).log_softmax(dim=-1), state


class Recurrent(NetworkPredictor):
    """The network as it is, its state the hidden and cell states of its layers.

    The compiled decoder (``open_decoder``) may round its weights to ``precision``.
    """

    precision = "float32"

    def start(self, lanes: int = 1) -> State:
        """Zeros."""
        return self.network.zero_state(lanes)

    def forward(self, tokens: Tensor, state: State) -> tuple[Tensor, Tensor, State]:
        """See ``NetworkPredictor``."""
        network = self.network
        with evaluating(network):
            if tokens.shape[1] == 1 and network.config.connections == "plain":
                features, state = step(network, tokens[:, 0], state)
            else:
                features, state = network.features(tokens, state)
            return features, network.head(features), state

    def select(self, state: State, lanes: Tensor) -> State:
        """See ``Predictor``."""
        return tuple(tuple(part[lanes] for part in layer) for layer in state)

    def nll(self, tokens: Tensor, state: State) -> tuple[np.ndarray, State]:
        """See ``Predictor``; few logits are held at a time, whatever the vocabulary."""
        return nll_of_stream(self.network, tokens, state)


def step(network: LanguageModel, tokens: Tensor, state: State) -> tuple[Tensor, State]:
    """tokens (B,) -> features (B, 1, H) and the state after them, as ``network.features`` gives.

    One step layer by layer, without the checks and choices that pay only for many steps.
    """
    hidden, after = network.embedding(tokens), []
    for layer, before in zip(network.recurrent_layers(), state, strict=True):
        after.append(layer.step(layer.project(hidden), before))
        hidden = after[-1][0]
    return hidden[:, None], tuple(after)


PRECISIONS = ("float32", "bfloat16", "int8")
"""What the weights may be rounded to in generation; float32 leaves them as they are."""


def in_precision(model: Predictor, precision: str) -> Predictor:
    """The model, its weights rounded to ``precision`` (float32, bfloat16, int8) in generation.

    Raises ``ConfigError`` for an unknown precision, and for another precision than float32 if the
    model is no network.
    """
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise ConfigError(f"`precision` must be one of {known}, got {precision!r}", f"use {known}")
    if precision == "float32":
        return model
    if not isinstance(model, Recurrent):
        raise ConfigError(
            f"`precision={precision}` is for recurrent networks, and this model is none",
            "leave `precision` out",
        )
    rounded = Recurrent(model.network)
    rounded.precision = precision
    return rounded
