"""The likelihood of a stream of tokens, read once from left to right with the state carried."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from charlm.model.language_model import LanguageModel, State, detach

__all__ = ["StreamReader", "evaluating", "pick"]

CHUNK = 1024
"""Steps per call of the model: only speed and memory depend on it."""

LOGITS_AT_ONCE = 1 << 24
"""Most logits held at a time (64 MiB of float32); a large vocabulary shortens the chunk."""


@contextmanager
def evaluating(model: LanguageModel) -> Iterator[None]:
    """Evaluation mode, no gradients, full float32; the model's mode is as before afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            yield
    finally:
        model.train(was_training)


class StreamReader:
    """Reads one stream piece by piece and says how surprising each token was.

    The first token is given, by convention the boundary; every later one is predicted from all
    before it.  How the stream is cut into pieces and chunks does not matter.
    """

    def __init__(self, model: LanguageModel, first: int = 0) -> None:
        self.model = model
        self.device = model.head.bias.device
        self.last = first
        self.state: State | None = None
        self.chunk = max(1, min(CHUNK, LOGITS_AT_ONCE // model.vocab_size))

    def read(self, ids: np.ndarray) -> np.ndarray:
        """ids (N,) -> nll (N,) in nats, float64, of each given all before it."""
        nll = np.empty(len(ids))
        for begin in range(0, len(ids), self.chunk):
            part = ids[begin : begin + self.chunk]
            nll[begin : begin + len(part)] = -pick(self.predict(part), part)
        return nll

    def predict(self, ids: np.ndarray) -> Tensor:
        """ids (T,), at most ``chunk`` -> the log-probabilities (T, V) that met them."""
        inputs = torch.from_numpy(np.append(self.last, ids[:-1]).astype(np.int64))
        with evaluating(self.model):
            logits, state = self.model(inputs[None].to(self.device), self.state)
        self.last = int(ids[-1])
        self.state = detach(state)
        return torch.log_softmax(logits[0].float(), dim=-1)


def pick(log_probs: Tensor, ids: np.ndarray) -> np.ndarray:
    """Log-probabilities (T, V) and ids (T,) -> those of the ids (T,), float64."""
    targets = torch.from_numpy(ids.astype(np.int64)).to(log_probs.device)
    picked = log_probs.gather(1, targets[:, None]).squeeze(1)
    return picked.double().cpu().numpy()
