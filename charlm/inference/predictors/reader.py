"""One stream of tokens, read from left to right with the state carried."""

import numpy as np
import torch
from torch import Tensor

from charlm.config import BOUNDARY_ID
from charlm.inference.predictors.predictor import Predictor, nll_of_targets

__all__ = ["Reader", "pick"]


class Reader:
    """Reads one stream and says how probable each token was, given all tokens before it.

    How the stream is cut into calls does not matter.
    """

    def __init__(self, model: Predictor, first: int = BOUNDARY_ID) -> None:
        """``first`` is the token that the stream begins with; it is given, not predicted."""
        self.model = model
        self.state = model.start()
        self.last = first
        self.chunk = model.chunk
        """Most tokens that ``log_probs`` should be given at a time."""

    def nll(self, ids: np.ndarray) -> np.ndarray:
        """ids (N,) that come next -> nll (N,) in nats, float64."""
        nll, self.state = self.model.nll(self.take(ids), self.state)
        found: np.ndarray = nll[0]
        return found

    def log_probs(self, ids: np.ndarray) -> Tensor:
        """ids (T,) that come next, T > 0 -> the log-probabilities (T, V) they were met with."""
        log_probs, self.state = self.model.advance(self.take(ids)[:, :-1], self.state)
        return log_probs[0]

    def take(self, ids: np.ndarray) -> Tensor:
        """The last token and ids (N,) after it, where the model takes them: (1, N + 1)."""
        tokens = np.append(self.last, ids).astype(np.int64)
        self.last = int(tokens[-1])
        return torch.from_numpy(tokens)[None].to(self.model.device)


def pick(log_probs: Tensor, ids: np.ndarray) -> np.ndarray:
    """Log-probabilities (T, V) and ids (T,) -> those of the ids (T,), float64."""
    return -nll_of_targets(log_probs, torch.from_numpy(ids.astype(np.int64)))
