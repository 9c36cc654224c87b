"""The likelihood of a stream of tokens, read once from left to right with the state carried."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from charlm.model.language_model import LanguageModel, State, detach

__all__ = ["AheadReader", "StreamReader", "evaluating", "pick", "read_ahead", "read_together"]

CHUNK = 1024
"""Steps per call of the model: only speed and memory depend on it."""

LOGITS_AT_ONCE = 1 << 24
"""Most logits held at a time (64 MiB of float32); a large vocabulary shortens the chunk."""

LANES = 128
"""Most streams read side by side: more were not faster, and leave more lanes idle."""

STEPS = 128
"""Steps per call of the model there."""

LOGITS_IN_CACHE = 1 << 18
"""Most logits held at a time: few enough for the processor's cache (1 MiB of float32)."""

FEWEST_ROWS = 256
"""Tokens whose logits are held at least: of fewer the weights would be read too often."""


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
            with evaluating(self.model):
                targets = torch.from_numpy(part.astype(np.int64))
                losses = losses_of(self.model, self.advance(part), targets)
            nll[begin : begin + len(part)] = losses
        return nll

    def predict(self, ids: np.ndarray) -> Tensor:
        """ids (T,), at most ``chunk`` -> the log-probabilities (T, V) that met them."""
        with evaluating(self.model):
            return torch.log_softmax(self.model.head(self.advance(ids)).float(), dim=-1)

    def advance(self, ids: np.ndarray) -> Tensor:
        """ids (T,) -> what the head reads (T, H) to predict them."""
        inputs = torch.from_numpy(np.append(self.last, ids[:-1]).astype(np.int64))
        features, state = self.model.features(inputs[None].to(self.device), self.state)
        self.last = int(ids[-1])
        self.state = detach(state)
        return features[0]


def pick(log_probs: Tensor, ids: np.ndarray) -> np.ndarray:
    """Log-probabilities (T, V) and ids (T,) -> those of the ids (T,), float64."""
    targets = torch.from_numpy(ids.astype(np.int64)).to(log_probs.device)
    picked = log_probs.gather(1, targets[:, None]).squeeze(1)
    return picked.double().cpu().numpy()


def read_together(model: LanguageModel, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Ids (n,) of independent streams -> nll (n,) in nats, float64, of each, in order.

    What ``StreamReader`` says of each by itself, to rounding; streams of about the same length
    run side by side, and equal ones once.
    """
    found: dict[bytes, np.ndarray] = {}
    with evaluating(model):
        for batch in batches(lines):
            nll = np.zeros((len(batch), len(batch[0])))
            for real, features, targets in walk_together(model, batch):
                nll[real] = losses_of(model, features, targets)
            found.update((line.tobytes(), own) for line, own in zip(batch, nll, strict=True))
    return [found[line.tobytes()][: len(line)] for line in lines]


def read_ahead(model: LanguageModel, lines: Sequence[np.ndarray]) -> list["AheadReader"]:
    """Ids (n,) of independent streams -> a reader of each, which have read them side by side."""
    found: dict[bytes, Tensor] = {}
    with evaluating(model):
        for batch in batches(lines):
            parts: list[list[Tensor]] = [[] for _ in batch]
            for real, features, _ in walk_together(model, batch):
                split = torch.split(features, real.sum(axis=1).tolist())
                for own, part in zip(parts, split, strict=True):
                    own.append(part)
            empty = model.head.bias.new_empty(0, model.config.hidden_size)
            for line, own in zip(batch, parts, strict=True):
                found[line.tobytes()] = torch.cat([empty, *own])
    return [AheadReader(model, found[line.tobytes()]) for line in lines]


class AheadReader:
    """Reads the one stream that leads to these hidden states (N, H)."""

    def __init__(self, model: LanguageModel, features: Tensor) -> None:
        self.model = model
        self.features = features
        self.chunk = max(1, min(CHUNK, LOGITS_AT_ONCE // model.vocab_size))

    def read(self, ids: np.ndarray) -> np.ndarray:
        """ids (T,) that come next -> nll (T,) in nats, float64."""
        with evaluating(self.model):
            targets = torch.from_numpy(ids.astype(np.int64))
            return losses_of(self.model, self.advance(len(ids)), targets)

    def predict(self, ids: np.ndarray) -> Tensor:
        """ids (T,) that come next -> the log-probabilities (T, V) that met them."""
        with evaluating(self.model):
            return torch.log_softmax(self.model.head(self.advance(len(ids))).float(), dim=-1)

    def advance(self, count: int) -> Tensor:
        """What the head reads (T, H) to predict the next tokens."""
        features, self.features = self.features[:count], self.features[count:]
        return features


def batches(lines: Sequence[np.ndarray]) -> Iterator[list[np.ndarray]]:
    """Different lines, those of about the same length together, the longest first."""
    unique = {line.tobytes(): line for line in lines}
    order = sorted(unique.values(), key=len, reverse=True)
    for begin in range(0, len(order), LANES):
        yield order[begin : begin + LANES]


def walk_together(
    model: LanguageModel, lines: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, Tensor, Tensor]]:
    """Walk B streams (n,), the longest first -> some of their places at a time.

    Places as a mask (B, longest n), what the head reads there (N, H), and the ids there (N,).
    """
    lengths = np.array([len(line) for line in lines])
    tokens = np.zeros((len(lines), lengths[0] + 1), dtype=np.int64)  # the boundary first
    for lane, line in enumerate(lines):
        tokens[lane, 1 : len(line) + 1] = line
    state: State | None = None
    for begin in range(0, lengths[0], STEPS):
        lanes = int(np.count_nonzero(lengths > begin))
        given = torch.from_numpy(tokens[:lanes, begin : begin + STEPS + 1])
        if state is not None:
            state = tuple(tuple(part[:lanes] for part in layer) for layer in state)
        features, state = model.features(given[:, :-1].to(model.head.bias.device), state)
        times = np.arange(lengths[0])
        places = (times >= begin) & (times < begin + STEPS) & (times < lengths[:, None])
        here = torch.from_numpy(places[:lanes, begin : begin + STEPS])
        yield places, features[here], given[:, 1:][here]


def losses_of(model: LanguageModel, features: Tensor, targets: Tensor) -> np.ndarray:
    """Hidden states (N, H) and the ids (N,) that follow them -> nll (N,), float64."""
    rows = max(FEWEST_ROWS, LOGITS_IN_CACHE // model.vocab_size)
    losses = features.new_empty(len(features), dtype=torch.float32)
    for begin in range(0, len(features), rows):
        ids = targets[begin : begin + rows].to(features.device)
        losses[begin : begin + rows] = model.losses(features[begin : begin + rows], ids)
    return losses.double().cpu().numpy()
