"""A network on its way through a text: tokens go in, features and logits come out.

Dynamic evaluation, temperature and cache are walks too, one around the other; ``Walking`` makes a
model for scoring and sampling of any of them.  Letters as in ``language_model``.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from charlm.model.language_model import LanguageModel, State
from charlm.model.likelihood import CHUNK, LOGITS_AT_ONCE, evaluating, pick

__all__ = ["NetworkWalk", "TemperedWalk", "Walk", "Walking"]


class Walk(Protocol):
    """How the text is cut into calls does not matter."""

    def advance(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """tokens (B, T) that come next -> features (B, T, H) and logits (B, T, V) after each."""
        ...

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order; one may be taken several times."""
        ...


class NetworkWalk:
    """The network as it is."""

    def __init__(self, network: LanguageModel) -> None:
        self.network = network
        self.state: State | None = None

    def advance(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Walk``."""
        with evaluating(self.network):
            features, self.state = self.network.features(tokens, self.state)
            return features, self.network.head(features)

    def select(self, lanes: Tensor) -> None:
        """See ``Walk``."""
        if self.state is not None:
            self.state = tuple(tuple(part[lanes] for part in layer) for layer in self.state)


class TemperedWalk:
    """Logits divided by a temperature."""

    def __init__(self, walk: Walk, temperature: float) -> None:
        self.walk = walk
        self.temperature = temperature

    def advance(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Walk``."""
        features, logits = self.walk.advance(tokens)
        return features, logits / self.temperature

    def select(self, lanes: Tensor) -> None:
        """See ``Walk``."""
        self.walk.select(lanes)


class WalkReader:
    """A ``Reader`` on a walk."""

    def __init__(self, walk: Walk, model: "Walking", first: int = 0) -> None:
        self.walk = walk
        self.device = model.device
        self.chunk = max(1, min(CHUNK, LOGITS_AT_ONCE // model.vocab_size))
        self.last = first

    def read(self, ids: np.ndarray) -> np.ndarray:
        """ids (N,) that come next -> nll (N,) in nats, float64."""
        parts = [ids[begin : begin + self.chunk] for begin in range(0, len(ids), self.chunk)]
        return np.concatenate([np.empty(0), *(-pick(self.predict(part), part) for part in parts)])

    def predict(self, ids: np.ndarray) -> Tensor:
        """ids (T,), at most ``chunk`` -> the log-probabilities (T, V) that met them."""
        inputs = torch.from_numpy(np.append(self.last, ids[:-1]).astype(np.int64))
        _, logits = self.walk.advance(inputs[None].to(self.device))
        self.last = int(ids[-1])
        return torch.log_softmax(logits[0].float(), dim=-1)


class WalkDecoder:
    """A ``StepDecoder`` on a walk."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk

    def read(self, tokens: Tensor) -> Tensor:
        """tokens (B, T), T > 0 -> logits (B, V) after the last."""
        return self.walk.advance(tokens)[1][:, -1]

    def step(self, tokens: Tensor) -> Tensor:
        """tokens (B,) -> logits (B, V) of what follows."""
        return self.read(tokens[:, None])

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,) in this order."""
        self.walk.select(lanes)


class Walking:
    """A ``Predictor``: a network, and how it walks."""

    def __init__(self, network: LanguageModel, mode: str, walk: Callable[[], Walk]) -> None:
        """``walk`` begins a new stream, of any number of lanes."""
        self.network = network
        self.mode = mode
        self.walk = walk
        self.vocab_size = network.vocab_size

    @property
    def device(self) -> torch.device:
        """The network's."""
        return self.network.head.bias.device

    def reader(self) -> WalkReader:
        """A new stream."""
        return WalkReader(self.walk(), self)

    def readers(self, lines: Sequence[np.ndarray]) -> list[WalkReader]:
        """A new stream for each line; what is learned or remembered ends with its line."""
        return [self.reader() for _ in lines]

    def decoder(self, lanes: int = 1) -> WalkDecoder:
        """New lanes; their number shows in what they read."""
        return WalkDecoder(self.walk())

    def read_lines(self, lines: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One line after the other."""
        return [reader.read(line) for reader, line in zip(self.readers(lines), lines, strict=True)]
