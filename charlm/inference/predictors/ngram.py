"""An n-gram model as a ``Predictor``."""

import numpy as np
import torch
from torch import Tensor

from charlm.inference.predictors.predictor import Predictor, State
from charlm.model.ngram.contexts import distributions, row_nll, row_states
from charlm.model.ngram.kneser_ney import NgramModel

__all__ = ["NgramPredictor"]


class NgramPredictor(Predictor):
    """An n-gram model; its state is what was read last (B, n), as many tokens as still count."""

    def __init__(self, ngrams: NgramModel) -> None:
        self.ngrams = ngrams
        self.vocab_size = ngrams.vocab_size

    def start(self, lanes: int = 1) -> State:
        """No token of context."""
        return np.empty((lanes, 0), dtype=np.int64)

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """See ``Predictor``; log-probabilities are float64."""
        rows = np.concatenate([state, tokens.numpy()], axis=1)
        nodes = row_states(self.ngrams, rows)[:, state.shape[1] :]
        p = distributions(self.ngrams, nodes.reshape(-1, nodes.shape[2]))
        log_probs = torch.from_numpy(np.log(p, out=p)).view(*tokens.shape, self.vocab_size)
        return log_probs, self.end_of(rows)

    def select(self, state: State, lanes: Tensor) -> State:
        """See ``Predictor``."""
        return state[lanes.numpy()]

    def nll(self, tokens: Tensor, state: State) -> tuple[np.ndarray, State]:
        """See ``Predictor``; no distribution is made for it."""
        rows = np.concatenate([state, tokens.numpy()], axis=1)
        return row_nll(self.ngrams, rows)[:, state.shape[1] :], self.end_of(rows[:, :-1])

    def end_of(self, rows: np.ndarray) -> np.ndarray:
        """The end of rows (B, N) that later tokens depend on."""
        return rows[:, max(rows.shape[1] - self.ngrams.order + 1, 0) :]
