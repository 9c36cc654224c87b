"""Dynamic evaluation (Krause, Kahembwe, Murray and Renals 2018, arXiv:1709.07432).

The network learns from what it has just read, a copy of it: after each segment of the text one step

    w <- w + decay * r * (w_0 - w) - lr * g / (rms + epsilon * mean(rms)),    r = rms / mean(rms)

with w_0 the trained weights, g the gradient of the segment's mean loss, and rms the root mean
square of such gradients on training text; decay * r is at most 1.  A segment is scored before the
step on it.  The paper's epsilon is absolute; here it is measured in the mean of rms, so that one
value suits networks of all sizes.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from charlm.errors import ModelError
from charlm.inference.adaptation.methods import Dynamic
from charlm.model.language_model import LanguageModel, State, detach

__all__ = ["DynamicWalk", "Steps", "gather_statistics", "plan_steps"]

PLACES, SEGMENTS = 32, 32
"""The gradient's statistics come from so many places of the text, from so many segments each."""


@dataclass(frozen=True)
class Steps:
    """What the steps of all streams share, for each number of the network, parameter by parameter.

    ``rates`` multiply its gradient, ``pulls`` how far it is from where it was trained to.
    """

    segment: int
    rates: tuple[Tensor, ...]
    pulls: tuple[Tensor, ...]


def gather_statistics(
    network: LanguageModel, tokens: np.ndarray, segment: int
) -> tuple[Tensor, ...]:
    """The root mean square of the gradient of each number, parameter by parameter.

    Reads training text, tokens (N,), at places evenly spread; the gradients are those of single
    segments, as they will be met.
    """
    network = copy.deepcopy(network).eval()
    weights = list(network.parameters())
    squares = [torch.zeros_like(weight) for weight in weights]
    count = 0
    for stretch in stretches(tokens, segment):
        state = None
        ids = torch.from_numpy(stretch.astype(np.int64)).to(weights[0].device)
        for x, y in zip(*(torch.split(part, segment) for part in (ids[:-1], ids[1:])), strict=True):
            with differentiable():
                logits, after = network(x[None], state)
                gradients = torch.autograd.grad(cross_entropy(logits[0].float(), y), weights)
            for total, gradient in zip(squares, gradients, strict=True):
                total.addcmul_(gradient, gradient)
            state, count = detach(after), count + 1
    return tuple((total / count).sqrt() for total in squares)


def stretches(tokens: np.ndarray, segment: int) -> Iterator[np.ndarray]:
    """Parts of ``tokens`` (N,) at even distances, all of it where it is short."""
    length = segment * SEGMENTS
    last = max(len(tokens) - 1 - length, 0)
    for begin in sorted({last * place // (PLACES - 1) for place in range(PLACES)}):
        yield tokens[begin : begin + length + 1]


def plan_steps(settings: Dynamic, rms: Sequence[Tensor]) -> Steps:
    """Rates and pulls of every number from its statistics."""
    mean = sum(float(part.sum()) for part in rms) / sum(part.numel() for part in rms)
    rates = tuple(settings.lr / (part + settings.epsilon * mean) for part in rms)
    pulls = tuple((settings.decay * part / mean).clamp(max=1.0) for part in rms)
    return Steps(settings.segment, rates, pulls)


class DynamicWalk:
    """A walk in one lane that learns; the network it is given stays as it is."""

    def __init__(self, network: LanguageModel, steps: Steps) -> None:
        self.origin = [weight.detach() for weight in network.parameters()]
        self.network = copy.deepcopy(network).eval()
        self.weights = list(self.network.parameters())
        self.steps = steps
        self.start: State | None = None
        """Before the segment that is being read; ``state`` is where reading is."""
        self.state: State | None = None
        self.held = torch.empty(0, dtype=torch.long, device=self.origin[0].device)
        """The tokens of the segment so far."""
        self.logits: Tensor | None = None
        """Of the whole segment, with the graph that made them, if it was read at once."""

    def advance(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """See ``Walk``; tokens (1, T).  Raises ``ModelError`` for more lanes."""
        if len(tokens) != 1:
            raise ModelError(
                "dynamic evaluation reads one text at a time",
                "leave --dynamic out, or use one lane",
            )
        parts: list[tuple[Tensor, Tensor]] = []
        rest = tokens[0]
        while len(rest):
            if len(self.held) == self.steps.segment:
                self.learn(rest[:1])
            room = self.steps.segment - len(self.held)
            parts.append(self.read(rest[:room]))
            rest = rest[room:]
        features, logits = zip(*parts, strict=True)
        return torch.cat(features, dim=1), torch.cat(logits, dim=1)

    def read(self, part: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (T,) of the segment -> features (1, T, H) and logits (1, T, V) after each."""
        whole = len(part) == self.steps.segment
        with differentiable() if whole else torch.no_grad():
            features, state = self.network.features(part[None], self.state)
            logits = self.network.head(features)
        self.held = torch.cat([self.held, part])
        self.logits = logits if whole else None
        self.state = detach(state)
        return features.detach(), logits.detach()

    def learn(self, following: Tensor) -> None:
        """Take the step on the segment held, whose last token is followed by ``following`` (1,).

        Raises ``ModelError`` where the weights went astray.
        """
        with differentiable():
            logits = self.logits
            if logits is None:
                logits, _ = self.network(self.held[None], self.start)
            targets = torch.cat([self.held[1:], following])
            loss = cross_entropy(logits[0].float(), targets)
            gradients = torch.autograd.grad(loss, self.weights)
        if not math.isfinite(loss.item()):
            raise ModelError("dynamic evaluation went astray", "choose a smaller lr, or --tune-on")
        numbers = zip(self.weights, self.origin, gradients, strict=True)
        with torch.no_grad():
            for index, (weight, trained, gradient) in enumerate(numbers):
                weight.lerp_(trained, self.steps.pulls[index])
                weight.addcmul_(self.steps.rates[index], gradient, value=-1)
        self.start, self.held, self.logits = self.state, self.held[:0], None

    def select(self, lanes: Tensor) -> None:
        """See ``Walk``; there is one lane.  Raises ``ModelError`` for more."""
        if len(lanes) != 1:
            raise ModelError("dynamic evaluation has one lane", "leave --dynamic out")


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients, full float32, and no cuDNN: in evaluation mode its layers have no gradient."""
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        yield
