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
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from charlm.errors import ModelError
from charlm.inference.adaptation.methods import Dynamic
from charlm.inference.predictors.recurrent import NetworkPredictor
from charlm.model.language_model import LanguageModel, State, detach

__all__ = ["DynamicPredictor", "StepSizes", "gather_statistics", "plan_steps"]

PLACES, SEGMENTS = 32, 32
"""The gradient's statistics come from so many places of the text, from so many segments each."""


@dataclass(frozen=True)
class StepSizes:
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


def plan_steps(settings: Dynamic, rms: Sequence[Tensor]) -> StepSizes:
    """Rates and pulls of every number from its statistics."""
    mean = sum(float(part.sum()) for part in rms) / sum(part.numel() for part in rms)
    rates = tuple(settings.lr / (part + settings.epsilon * mean) for part in rms)
    pulls = tuple((settings.decay * part / mean).clamp(max=1.0) for part in rms)
    return StepSizes(settings.segment, rates, pulls)


class Lane(NamedTuple):
    """The state of one lane: what it has learned, and the segment that it is in.

    ``before`` is the recurrent state at the begin of the segment, ``now`` after the tokens
    ``held`` (n,), n at most the length of a segment.
    """

    network: LanguageModel
    before: State
    now: State
    held: Tensor
    graph: list[Tensor]
    """The logits of the segment with the graph that made them, if it was read in one call.

    Going back through the graph uses it up, so the first step taken from this state pops it, and
    another one reads the segment again.
    """


class DynamicPredictor(NetworkPredictor):
    """A network that learns while it reads, each lane by itself; the one given stays as it is.

    The network of a lane is replaced, never changed, so states may be kept and shared.
    """

    mode = "dynamic"
    lanes = 1  # each lane holds weights of its own

    def __init__(self, network: LanguageModel, sizes: StepSizes) -> None:
        super().__init__(copy.deepcopy(network).eval() if network.training else network)
        self.trained = [weight.detach() for weight in network.parameters()]
        self.sizes = sizes

    def start(self, lanes: int = 1) -> tuple[Lane, ...]:
        """Lanes with the trained weights."""
        zeros = self.network.zero_state(1)
        held = torch.empty(0, dtype=torch.long, device=self.device)
        return (Lane(self.network, zeros, zeros, held, []),) * lanes

    def select(self, state: tuple[Lane, ...], lanes: Tensor) -> tuple[Lane, ...]:
        """See ``Predictor``."""
        return tuple(state[lane] for lane in lanes.tolist())

    def forward(
        self, tokens: Tensor, state: tuple[Lane, ...]
    ) -> tuple[Tensor, Tensor, tuple[Lane, ...]]:
        """See ``NetworkPredictor``.  Raises ``ModelError`` where learning diverges."""
        found = [self.read(own, lane) for own, lane in zip(tokens, state, strict=True)]
        features, logits, lanes = zip(*found, strict=True)
        return torch.cat(features), torch.cat(logits), lanes

    def read(self, tokens: Tensor, lane: Lane) -> tuple[Tensor, Tensor, Lane]:
        """tokens (T,) of one lane -> features (1, T, H), logits (1, T, V), and the lane after."""
        parts: list[tuple[Tensor, Tensor]] = []
        while len(tokens):
            if len(lane.held) == self.sizes.segment:
                lane = self.learn(lane, tokens[:1])
            free = self.sizes.segment - len(lane.held)
            features, logits, lane = self.read_on(tokens[:free], lane)
            parts.append((features, logits))
            tokens = tokens[free:]
        features, logits = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        return features, logits, lane

    def read_on(self, part: Tensor, lane: Lane) -> tuple[Tensor, Tensor, Lane]:
        """``read`` for tokens (T,) that end within the segment."""
        whole = len(part) == self.sizes.segment
        with differentiable() if whole else torch.no_grad():
            features, now = lane.network.features(part[None], lane.now)
            logits = lane.network.head(features)
        after = lane._replace(
            now=detach(now),
            held=torch.cat([lane.held, part]),
            graph=[logits] if whole else [],
        )
        return features.detach(), logits.detach(), after

    def learn(self, lane: Lane, following: Tensor) -> Lane:
        """Take the step on the segment held, whose last token is followed by ``following`` (1,).

        Raises ``ModelError`` where the loss is NaN or infinite.
        """
        weights = list(lane.network.parameters())
        with differentiable():
            try:
                logits = lane.graph.pop()
            except IndexError:
                logits, _ = lane.network(lane.held[None], lane.before)
            targets = torch.cat([lane.held[1:], following])
            loss = cross_entropy(logits[0].float(), targets)
            gradients = torch.autograd.grad(loss, weights)
        if not math.isfinite(loss.item()):
            raise ModelError(
                "dynamic evaluation diverges: its loss is NaN or infinite",
                "choose a smaller lr, or let it be tuned",
            )
        numbers = zip(
            weights, self.trained, self.sizes.pulls, self.sizes.rates, gradients, strict=True
        )
        with torch.no_grad():
            stepped = [
                torch.lerp(weight, trained, pull).addcmul_(rate, gradient, value=-1)
                for weight, trained, pull, rate, gradient in numbers
            ]
        return Lane(with_weights(lane.network, stepped), lane.now, lane.now, lane.held[:0], [])


def with_weights(network: LanguageModel, weights: Sequence[Tensor]) -> LanguageModel:
    """Another network with these weights, in the order of ``network.parameters()``."""
    replaced = zip(network.parameters(), weights, strict=True)
    # What is in the memo is not copied: only the modules around the weights are.
    return copy.deepcopy(network, {id(old): nn.Parameter(new) for old, new in replaced})


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients, full float32, and no cuDNN: in evaluation mode its layers have no gradient."""
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        yield
