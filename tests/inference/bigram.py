"""A model that can be computed by hand: the next token depends on the last one only."""

import numpy as np
import torch
from torch import Tensor

from charlm.inference.predictors.predictor import Predictor


class Bigram(Predictor):
    """``probabilities`` (V, V) of each token after each; id 0 is the boundary."""

    def __init__(self, probabilities: np.ndarray) -> None:
        with np.errstate(divide="ignore"):
            self.log_probs = torch.from_numpy(np.log(np.asarray(probabilities, dtype=np.float64)))
        self.vocab_size = len(self.log_probs)

    def start(self, lanes: int = 1) -> None:
        return None

    def advance(self, tokens: Tensor, state: None) -> tuple[Tensor, None]:
        return self.log_probs[tokens], None

    def select(self, state: None, lanes: Tensor) -> None:
        return None
