"""How fast this machine trains: a few steps of the model to be trained, on its own text."""

import math
import time

import numpy as np

from charlm.config import Config
from charlm.data.batches import Segments
from charlm.errors import ModelError
from charlm.model.devices import choose_device
from charlm.model.language_model import LanguageModel
from charlm.training.distributed import World
from charlm.training.learner import Learner

__all__ = ["Probe"]

PROBE_SECONDS = 0.15
"""Seconds for which settings are tried, after a first step."""


class Probe:
    """How fast this machine trains on a text (N,), measured once per layer size and batch size."""

    def __init__(self, tokens: np.ndarray, vocab_size: int) -> None:
        self.tokens = tokens
        self.vocab_size = vocab_size
        self.rates: dict[tuple[int, int], float] = {}

    def rate(self, config: Config) -> float:
        """Tokens per second of training steps; 0 where the memory does not suffice."""
        tried = config.model.hidden_size, config.training.batch_size
        if tried not in self.rates:
            try:
                self.rates[tried] = self.measure(config)
            except (ModelError, RuntimeError, MemoryError):
                self.rates[tried] = 0.0
        return self.rates[tried]

    def tokens_in(self, seconds: float, config: Config) -> float:
        """Tokens processed in ``seconds`` of training, or in its most epochs if those end first."""
        most = (config.training.most_epochs or math.inf) * len(self.tokens)
        return min(seconds * self.rate(config), most)

    def measure(self, config: Config) -> float:
        """Tokens per second of as many steps as fit into the time of the probe, after a first one
        to warm up.
        """
        training = config.training
        model = LanguageModel.create(config.model, self.vocab_size, seed=0)
        segments = Segments(self.tokens, training.batch_size, training.bptt, 0, 0.0)
        learner = Learner(model.to(choose_device(training.device)), segments, training, World())
        learner.learn(0, 0.0)
        began, step, processed = time.perf_counter(), 0, 0
        while (took := time.perf_counter() - began) < PROBE_SECONDS:
            step += 1
            processed += learner.learn(step, 0.0).tokens
        return processed / took
