"""Two models as one: the linear interpolation of their probabilities (Jelinek and Mercer 1980)."""

import math

import numpy as np
import torch
from torch import Tensor

from charlm.errors import ConfigError
from charlm.inference.predictors.predictor import Predictor, State

__all__ = ["Mixture", "mix_log_probs"]


class Mixture(Predictor):
    """weight * first + (1 - weight) * second, for models with the same vocabulary.

    Its state is the pair of their states.
    """

    def __init__(self, first: Predictor, second: Predictor, weight: float) -> None:
        """Raises ``ConfigError`` for a weight that is not between 0 and 1."""
        if not 0 <= weight <= 1:
            raise ConfigError(
                f"the weight of a mixture must be between 0 and 1, got {weight:g}",
                "leave `weight` out: it is then tuned on the validation text",
            )
        self.first, self.second, self.weight = first, second, weight
        self.vocab_size = first.vocab_size
        self.mode = first.mode if first.mode == second.mode else f"{first.mode} + {second.mode}"
        self.lanes = min(first.lanes, second.lanes)
        self.device = first.device

    def start(self, lanes: int = 1) -> State:
        """See ``Predictor``."""
        return self.first.start(lanes), self.second.start(lanes)

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """See ``Predictor``; log-probabilities are float64."""
        first, first_state = self.first.advance(tokens, state[0])
        second, second_state = self.second.advance(self.to_second(tokens), state[1])
        log_probs = mix_log_probs(first, second.to(first.device), self.weight)
        return log_probs, (first_state, second_state)

    def select(self, state: State, lanes: Tensor) -> State:
        """See ``Predictor``."""
        second = self.second.select(state[1], self.to_second(lanes))
        return self.first.select(state[0], lanes), second

    def nll(self, tokens: Tensor, state: State) -> tuple[np.ndarray, State]:
        """See ``Predictor``."""
        first, first_state = self.first.nll(tokens, state[0])
        second, second_state = self.second.nll(self.to_second(tokens), state[1])
        return mix_nll(first, second, self.weight), (first_state, second_state)

    def to_second(self, tensor: Tensor) -> Tensor:
        """Tokens or lanes where the second model takes them."""
        return tensor.to(self.second.device)


def mix_nll(first: np.ndarray, second: np.ndarray, weight: float) -> np.ndarray:
    """The nll (...) of both in nats -> the mixture's."""
    with np.errstate(divide="ignore"):  # a weight of 0 or 1 leaves one of them alone
        nll: np.ndarray = -np.logaddexp(np.log(weight) - first, np.log1p(-weight) - second)
    return nll


def mix_log_probs(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """The log-probabilities (...) of both in nats -> the mixture's, float64."""
    logs = [math.log(share) if share else -math.inf for share in (weight, 1 - weight)]
    return torch.logaddexp(first.double() + logs[0], second.double() + logs[1])
