"""An n-gram model as a ``Predictor``."""

import numpy as np
import torch
from torch import Tensor

from charlm.inference.predictors.predictor import Predictor, State
from charlm.model.ngram.contexts import distributions, row_states
from charlm.model.ngram.kneser_ney import NgramModel, row_nll, start_states

__all__ = ["NgramPredictor"]


class NgramPredictor(Predictor):
    """An n-gram model; its state are the nodes (B, L) of the contexts, as in ``contexts``."""

    lanes = 1024  # a lane that has ended costs little, and a call much

    def __init__(self, ngrams: NgramModel) -> None:
        self.ngrams = ngrams
        self.vocab_size = ngrams.vocab_size

    def start(self, lanes: int = 1) -> State:
        """No token of context."""
        return start_states(self.ngrams, lanes)

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """See ``Predictor``; log-probabilities are float64."""
        states = row_states(self.ngrams, tokens.numpy(), state)
        p = distributions(self.ngrams, states.reshape(-1, self.ngrams.order))
        log_probs = torch.from_numpy(np.log(p, out=p)).view(*tokens.shape, self.vocab_size)
        return log_probs, states[:, -1]

    def select(self, state: State, lanes: Tensor) -> State:
        """See ``Predictor``."""
        return state[lanes.numpy()]

    def nll(self, tokens: Tensor, state: State) -> tuple[np.ndarray, State]:
        """See ``Predictor``; no distribution is made for it."""
        return row_nll(self.ngrams, tokens.numpy(), state)
