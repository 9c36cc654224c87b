"""What every language model can do here: take tokens and a state, give probabilities and a state.

Shapes: B lanes, T steps, V vocabulary.  A lane is one stream of tokens; its first token, by
convention the boundary, is given and every later one is predicted from all before it.
"""

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

__all__ = ["CHUNK", "Predictor", "State", "nll_of_targets"]

State: TypeAlias = Any
"""What a predictor knows of the tokens read so far in B lanes.

Only the predictor that made it can use it.  It is never changed in place, so it may be kept, used
several times and handed to another thread.
"""

CHUNK = 1024
"""Most steps in one call of a model; only speed and memory depend on it."""

NUMBERS_AT_ONCE = 1 << 22
"""Most log-probabilities held at a time (16 MiB of float32)."""

LANES = 128
"""Most lines read side by side: more were not faster, and leave more lanes idle."""


class Predictor(ABC):
    """A language model as scoring, generation and compression use it.

    A new kind of model defines ``vocab_size`` and the methods ``start``, ``advance`` and
    ``select``.  ``nll`` may be overridden by a faster way to get equal numbers.
    """

    vocab_size: int

    mode: str = "static"
    """``static``, or the methods that change predictions while text is read."""

    lanes: int = LANES
    """Most independent lines that are worth reading side by side."""

    device = torch.device("cpu")
    """The device on which the tokens given to the model have to be."""

    @property
    def chunk(self) -> int:
        """Most tokens of one lane whose log-probabilities should be held at a time."""
        most = max(1, min(CHUNK, NUMBERS_AT_ONCE // self.vocab_size))
        return 1 << (most.bit_length() - 1)  # a power of two: segments of learning fit into it

    @abstractmethod
    def start(self, lanes: int = 1) -> State:
        """The state of lanes that have read nothing, not even the boundary."""

    @abstractmethod
    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """tokens (B, T) int64, T > 0 -> log-probabilities (B, T, V) of what follows each, in nats,
        and the state after the last.
        """

    @abstractmethod
    def select(self, state: State, lanes: Tensor) -> State:
        """The state of the lanes (b,) in this order; a lane may be taken several times."""

    def nll(self, tokens: Tensor, state: State) -> tuple[np.ndarray, State]:
        """tokens (B, T + 1) -> nll (B, T) in nats, float64, of all but the first, and the state
        after all but the last.
        """
        steps = max(1, self.chunk // len(tokens))
        parts = [np.empty((len(tokens), 0))]
        for begin in range(0, tokens.shape[1] - 1, steps):
            part = tokens[:, begin : begin + steps + 1]
            log_probs, state = self.advance(part[:, :-1], state)
            parts.append(nll_of_targets(log_probs, part[:, 1:]))
        return np.concatenate(parts, axis=1), state


def nll_of_targets(log_probs: Tensor, targets: Tensor) -> np.ndarray:
    """log_probs (..., V) and the ids (...) that came -> their nll (...) in nats, float64."""
    picked = log_probs.gather(-1, targets.to(log_probs.device)[..., None]).squeeze(-1)
    return -picked.double().cpu().numpy()
