"""A model that can be computed by hand: the next token depends on the last one only."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


class Bigram:
    """``probabilities`` (V, V) of each token after each; id 0 is the boundary."""

    mode = "static"
    device = torch.device("cpu")
    chunk = 1024

    def __init__(self, probabilities: np.ndarray) -> None:
        self.probabilities = np.asarray(probabilities, dtype=np.float64)
        self.vocab_size = len(self.probabilities)
        self.last = 0

    def reader(self) -> "Bigram":
        return Bigram(self.probabilities)

    def readers(self, lines: Sequence[np.ndarray]) -> "list[Bigram]":
        return [self.reader() for _ in lines]

    def read(self, ids: np.ndarray) -> np.ndarray:
        return -np.array([self.log_probability(token) for token in ids.tolist()])

    def log_probability(self, token: int) -> float:
        before, self.last = self.last, token
        with np.errstate(divide="ignore"):
            return float(np.log(self.probabilities[before, token]))

    def predict(self, ids: np.ndarray) -> Tensor:
        raise NotImplementedError

    def read_lines(self, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self.reader().read(line) for line in lines]

    def decoder(self, lanes: int = 1) -> "Bigram":
        return self

    def step(self, tokens: Tensor) -> Tensor:
        return torch.from_numpy(np.log(self.probabilities[tokens.numpy()]))

    def select(self, lanes: Tensor) -> None:
        raise NotImplementedError
