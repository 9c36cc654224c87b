"""An n-gram model as a ``Predictor``."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from charlm.config import BOUNDARY_ID
from charlm.model.ngram.contexts import advance, distributions, start, states
from charlm.model.ngram.kneser_ney import NgramModel

__all__ = ["NgramPredictor"]

CHUNK = 1024
"""Tokens predicted at a time; only speed and memory depend on it."""

NUMBERS_AT_ONCE = 1 << 21
"""Most probabilities held at a time (16 MiB); a large vocabulary shortens the chunk."""


class NgramPredictor:
    """An n-gram model, its counts as they are."""

    mode = "static"

    def __init__(self, ngrams: NgramModel) -> None:
        self.ngrams = ngrams
        self.vocab_size = ngrams.vocab_size

    @property
    def device(self) -> torch.device:
        """Counts stay on the CPU."""
        return torch.device("cpu")

    def reader(self) -> "NgramReader":
        """A new stream."""
        return NgramReader(self.ngrams)

    def readers(self, lines: Sequence[np.ndarray]) -> "list[NgramReader]":
        """A new stream for each line."""
        return [self.reader() for _ in lines]

    def decoder(self, lanes: int = 1) -> "NgramDecoder":
        """New lanes."""
        return NgramDecoder(self.ngrams, lanes)

    def read_lines(self, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
        """All lines as one stream: no context reaches across the boundary before each."""
        if not lines:
            return []
        boundary = np.full(1, BOUNDARY_ID)
        stream = np.concatenate([part for line in lines for part in (boundary, line)])
        nll = np.append(np.nan, self.ngrams.nll(stream))  # the first boundary is given
        ends = np.cumsum([len(line) + 1 for line in lines])
        return [part[1:] for part in np.split(nll, ends[:-1])]


class NgramReader:
    """Reads one stream; its state is the end of what was read."""

    def __init__(self, ngrams: NgramModel) -> None:
        self.ngrams = ngrams
        self.tail = np.full(1, BOUNDARY_ID)
        self.chunk = max(1, min(CHUNK, NUMBERS_AT_ONCE // ngrams.vocab_size))

    def read(self, ids: np.ndarray) -> np.ndarray:
        """ids (N,) -> nll (N,) in nats, float64; no distribution is made for it."""
        before = len(self.tail)
        return self.ngrams.nll(self.follow(ids))[before - 1 :]

    def predict(self, ids: np.ndarray) -> Tensor:
        """ids (T,), at most ``chunk`` -> the log-probabilities (T, V) that met them, float64."""
        before = len(self.tail)
        nodes = states(self.ngrams, self.follow(ids))[before - 1 : -1]
        return torch.from_numpy(np.log(distributions(self.ngrams, nodes)))

    def follow(self, ids: np.ndarray) -> np.ndarray:
        """The tail with ids (N,) after it; its end is the next tail."""
        both = np.concatenate([self.tail, ids])
        self.tail = both[-max(self.ngrams.order - 1, 1) :]
        return both


class NgramDecoder:
    """Reads tokens in lanes and gives the log-probabilities of the next."""

    def __init__(self, ngrams: NgramModel, lanes: int) -> None:
        self.ngrams = ngrams
        self.nodes = start(ngrams, lanes)  # (B, L)

    def step(self, tokens: Tensor) -> Tensor:
        """tokens (B,) -> log-probabilities (B, V), float64, of what follows."""
        self.nodes = advance(self.ngrams, self.nodes, tokens.numpy())
        return torch.from_numpy(np.log(distributions(self.ngrams, self.nodes)))

    def read(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T > 0 -> log-probabilities (B, V) after the last."""
        reach = max(self.ngrams.order - 1, 1)
        if tokens.shape[1] >= reach:  # nothing before is remembered
            self.nodes, tokens = start(self.ngrams, len(tokens)), tokens[:, -reach:]
        for column in tokens.T[:-1].numpy():
            self.nodes = advance(self.ngrams, self.nodes, column)
        return self.step(tokens[:, -1])

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order; one may be taken several times."""
        self.nodes = self.nodes[lanes.numpy()]
