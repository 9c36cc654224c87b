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
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from charlm.errors import ModelError
from charlm.inference.adaptation.methods import Dynamic
from charlm.inference.predictors.recurrent import NetworkPredictor, at_least_float32
from charlm.model.language_model import LanguageModel, State, detach

__all__ = ["DynamicPredictor", "LearningRule", "StepSizes", "gather_statistics", "plan_steps"]

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

    def start(self, weights: Sequence[Tensor]) -> None:
        """Nothing is remembered from step to step."""

    def take(
        self,
        weights: Sequence[Tensor],
        trained: Sequence[Tensor],
        gradients: Sequence[Tensor],
        memory: None,
    ) -> tuple[list[Tensor], None]:
        """See ``LearningRule``."""
        numbers = zip(weights, trained, self.pulls, self.rates, gradients, strict=True)
        stepped = [
            torch.lerp(weight, origin, pull).addcmul_(rate, gradient, value=-1)
            for weight, origin, pull, rate, gradient in numbers
        ]
        return stepped, None


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


class LearningRule(Protocol):
    """How weights are changed after each ``segment`` tokens; nothing is changed in place."""

    @property
    def segment(self) -> int:
        """Tokens of each lane between two steps."""

    def start(self, weights: Sequence[Tensor]) -> Any:
        """What the rule remembers from step to step, before the first."""

    def take(
        self,
        weights: Sequence[Tensor],
        trained: Sequence[Tensor],
        gradients: Sequence[Tensor],
        memory: Any,
    ) -> tuple[Sequence[Tensor], Any]:
        """The weights after a step, given what they were trained to, and what is remembered."""


class LearningLanes(NamedTuple):
    """The state of lanes that learn together: their network, and the segment that they are in.

    ``before`` is the recurrent state of the b lanes at the begin of the segment, ``now`` after the
    tokens ``held`` (b, n), n at most the length of a segment.  ``memory`` is the rule's.
    """

    network: LanguageModel
    before: State
    now: State
    held: Tensor
    memory: Any
    graph: list[Tensor]
    """The logits of the segment with the graph that made them, if it was read in one call.

    Going back through the graph uses it up, so the first step taken from this state pops it, and
    another one reads the segment again.
    """


class DynamicPredictor(NetworkPredictor):
    """A network that learns while it reads; the one given stays as it is.

    Each lane learns by itself, or all learn ``together``, one network from the mean loss of all
    lanes.  A network is replaced, never changed, so states may be kept and shared.  The numbers are
    of the network's type, float32 or float64.
    """

    mode = "dynamic"
    lanes = 1  # each lane holds weights of its own

    def __init__(
        self, network: LanguageModel, rule: LearningRule, *, together: bool = False
    ) -> None:
        super().__init__(copy.deepcopy(network).eval() if network.training else network)
        self.trained = [weight.detach() for weight in network.parameters()]
        self.rule = rule
        self.together = together

    def start(self, lanes: int = 1) -> tuple[LearningLanes, ...]:
        """Lanes with the trained weights."""
        size = lanes if self.together else 1
        zeros = self.network.zero_state(size)
        held = torch.empty(size, 0, dtype=torch.long, device=self.device)
        memory = self.rule.start(self.trained)
        return (LearningLanes(self.network, zeros, zeros, held, memory, []),) * (lanes // size)

    def select(self, state: tuple[LearningLanes, ...], lanes: Tensor) -> tuple[LearningLanes, ...]:
        """See ``Predictor``.  Raises ``ModelError`` for lanes that learn together."""
        if self.together:
            raise ModelError("lanes that learn together cannot be selected", "let each learn alone")
        return tuple(state[lane] for lane in lanes.tolist())

    def forward(
        self, tokens: Tensor, state: tuple[LearningLanes, ...]
    ) -> tuple[Tensor, Tensor, tuple[LearningLanes, ...]]:
        """See ``NetworkPredictor``.  Raises ``ModelError`` where learning diverges."""
        parts = torch.chunk(tokens, len(state))
        found = [self.read(own, learner) for own, learner in zip(parts, state, strict=True)]
        features, logits, learners = zip(*found, strict=True)
        return torch.cat(features), torch.cat(logits), learners

    def read(self, tokens: Tensor, learner: LearningLanes) -> tuple[Tensor, Tensor, LearningLanes]:
        """tokens (b, T) -> features (b, T, H), logits (b, T, V), and the learner after them."""
        parts: list[tuple[Tensor, Tensor]] = []
        while tokens.shape[1]:
            if learner.held.shape[1] == self.rule.segment:
                learner = self.learn(learner, tokens[:, :1])
            free = self.rule.segment - learner.held.shape[1]
            features, logits, learner = self.read_on(tokens[:, :free], learner)
            parts.append((features, logits))
            tokens = tokens[:, free:]
        features, logits = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
        return features, logits, learner

    def read_on(self, part: Tensor, learner: LearningLanes) -> tuple[Tensor, Tensor, LearningLanes]:
        """``read`` for tokens (b, T) that end within the segment."""
        whole = part.shape[1] == self.rule.segment
        with differentiable() if whole else torch.no_grad():
            features, now = learner.network.features(part, learner.now)
            logits = learner.network.head(features)
        after = learner._replace(
            now=detach(now),
            held=torch.cat([learner.held, part], dim=1),
            graph=[logits] if whole else [],
        )
        return features.detach(), logits.detach(), after

    def learn(self, learner: LearningLanes, following: Tensor) -> LearningLanes:
        """Take the step on the segment held, whose last tokens ``following`` (b, 1) came after.

        Raises ``ModelError`` where the loss is NaN or infinite.
        """
        weights = list(learner.network.parameters())
        with differentiable():
            try:
                logits = learner.graph.pop()
            except IndexError:
                logits, _ = learner.network(learner.held, learner.before)
            targets = torch.cat([learner.held[:, 1:], following], dim=1)
            loss = cross_entropy(at_least_float32(logits.flatten(0, 1)), targets.flatten())
            gradients = torch.autograd.grad(loss, weights)
        if not math.isfinite(loss.item()):
            raise ModelError(
                "dynamic evaluation diverges: its loss is NaN or infinite",
                "choose a smaller lr, or let it be tuned",
            )
        with torch.no_grad():
            stepped, memory = self.rule.take(weights, self.trained, gradients, learner.memory)
        network, now = with_weights(learner.network, stepped), learner.now
        return LearningLanes(network, now, now, learner.held[:, :0], memory, [])


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
