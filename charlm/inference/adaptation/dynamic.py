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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from charlm.errors import ModelError
from charlm.inference.adaptation.methods import Dynamic
from charlm.inference.predictors.recurrent import NetworkPredictor
from charlm.model.heads import widen
from charlm.model.language_model import LanguageModel, State, detach

__all__ = ["DynamicPredictor", "StepRule", "StepSizes", "gather_statistics", "plan_steps"]

PLACES, SEGMENTS = 32, 32
"""The gradient's statistics come from so many places of the text, from so many segments each."""


class StepRule(Protocol):
    """How weights are changed after each ``segment`` tokens.

    ``memory`` is what a rule remembers from step to step; nothing is changed in place.
    """

    @property
    def segment(self) -> int: ...

    def start(self, weights: Sequence[Tensor]) -> Any:
        """The memory before any step."""

    def take(
        self,
        weights: Sequence[Tensor],
        trained: Sequence[Tensor],
        gradients: Sequence[Tensor],
        memory: Any,
    ) -> tuple[list[Tensor], Any]:
        """The weights after a step, and the memory; ``trained`` are those before all steps."""


@dataclass(frozen=True)
class StepSizes:
    """The paper's rule for each number of the network, parameter by parameter.

    ``rates`` multiply its gradient, ``pulls`` how far it is from where it was trained to.
    """

    segment: int
    rates: tuple[Tensor, ...]
    pulls: tuple[Tensor, ...]

    def start(self, weights: Sequence[Tensor]) -> None:
        """Nothing is remembered."""

    def take(
        self,
        weights: Sequence[Tensor],
        trained: Sequence[Tensor],
        gradients: Sequence[Tensor],
        memory: None,
    ) -> tuple[list[Tensor], None]:
        """See ``StepRule``."""
        numbers = zip(weights, trained, self.pulls, self.rates, gradients, strict=True)
        return [
            torch.lerp(weight, origin, pull).addcmul_(rate, gradient, value=-1)
            for weight, origin, pull, rate, gradient in numbers
        ], None


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


class LearningState(NamedTuple):
    """The state of B lanes that learn together: their network, and the segment they are in.

    ``before`` is the recurrent state at the begin of the segment, ``now`` after the tokens
    ``held`` (B, n), n at most the length of a segment.
    """

    network: LanguageModel
    weights: Sequence[Tensor]
    """The network's parameters: to gather them from its modules at each step takes long."""
    memory: Any
    before: State
    now: State
    held: Tensor
    graph: list[Tensor]
    """The logits of the segment with the graph that made them, if it was read in one call.

    Going back through the graph uses it up, so the first step taken from this state pops it, and
    another one reads the segment again.
    """


class DynamicPredictor(NetworkPredictor):
    """A network that learns while it reads; the network given stays as it is.

    Each lane learns by itself, or all of them ``together``, from their mean loss.  A learned
    network is replaced, never changed, so states may be kept and shared.
    """

    mode = "dynamic"
    lanes = 1  # lanes that learn by themselves have weights of their own

    def __init__(self, network: LanguageModel, rule: StepRule, *, together: bool = False) -> None:
        super().__init__(copy.deepcopy(network).eval() if network.training else network)
        self.trained = [weight.detach() for weight in network.parameters()]
        self.rule, self.together = rule, together

    def start(self, lanes: int = 1) -> tuple[LearningState, ...]:
        """Learners with the trained weights."""
        count, size = (1, lanes) if self.together else (lanes, 1)
        zeros = self.network.zero_state(size)
        held = torch.empty(size, 0, dtype=torch.long, device=self.device)
        memory = self.rule.start(self.trained)
        weights = list(self.network.parameters())
        return (LearningState(self.network, weights, memory, zeros, zeros, held, []),) * count

    def select(self, state: tuple[LearningState, ...], lanes: Tensor) -> tuple[LearningState, ...]:
        """See ``Predictor``."""
        if not self.together:
            return tuple(state[lane] for lane in lanes.tolist())
        (learner,) = state
        before, now = (
            tuple(tuple(part[lanes] for part in layer) for layer in each)
            for each in (learner.before, learner.now)
        )
        held = learner.held[lanes]
        return (learner._replace(before=before, now=now, held=held, graph=[]),)

    def forward(
        self, tokens: Tensor, state: tuple[LearningState, ...]
    ) -> tuple[Tensor, Tensor, tuple[LearningState, ...]]:
        """See ``NetworkPredictor``.  Raises ``ModelError`` where learning diverges."""
        own = torch.split(tokens, [len(learner.held) for learner in state])
        found = [self.read(*each) for each in zip(own, state, strict=True)]
        features, logits, learners = zip(*found, strict=True)
        return torch.cat(features), torch.cat(logits), learners

    def read(self, tokens: Tensor, learner: LearningState) -> tuple[Tensor, Tensor, LearningState]:
        """``forward`` for the lanes of one learner, segment by segment."""
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

    def read_on(self, part: Tensor, learner: LearningState) -> tuple[Tensor, Tensor, LearningState]:
        """``read`` for tokens (B, T) that end within the segment."""
        whole = part.shape[1] == self.rule.segment
        with differentiable() if whole else torch.no_grad():
            features, now = learner.network.features(part, learner.now)
            logits = learner.network.head(features)
        after = learner._replace(
            now=detach(now),
            held=part if whole else torch.cat([learner.held, part], dim=1),
            graph=[logits] if whole else [],
        )
        return features.detach(), logits.detach(), after

    def learn(self, learner: LearningState, following: Tensor) -> LearningState:
        """Take the step on the segment held, whose last tokens ``following`` (B, 1) follow.

        Raises ``ModelError`` where the loss is NaN or infinite.
        """
        weights = learner.weights
        with differentiable():
            try:
                logits = learner.graph.pop()
            except IndexError:
                logits, _ = learner.network(learner.held, learner.before)
            targets = torch.cat([learner.held[:, 1:], following], dim=1)
            loss = cross_entropy(widen(logits).flatten(0, 1), targets.flatten())
            gradients = torch.autograd.grad(loss, weights)
        if not math.isfinite(loss.item()):
            raise ModelError(
                "dynamic evaluation diverges: its loss is NaN or infinite",
                "choose a smaller lr, or let it be tuned",
            )
        with torch.no_grad():
            stepped, memory = self.rule.take(weights, self.trained, gradients, learner.memory)
        parameters = list(map(nn.Parameter, stepped))
        network = with_weights(learner.network, dict(zip(weights, parameters, strict=True)))
        assert isinstance(network, LanguageModel)
        now = learner.now
        return LearningState(network, parameters, memory, now, now, learner.held[:, :0], [])


def with_weights(module: nn.Module, replaced: Mapping[Tensor, Tensor]) -> nn.Module:
    """Another module whose parameters are those that the given one's are ``replaced`` with.

    A deep copy would take longer than a step of a small network.
    """
    if not (module._modules or module._parameters):
        return module  # nothing in it is learned
    other = object.__new__(type(module))
    parts = {name: child and with_weights(child, replaced)
             for name, child in module._modules.items()}  # fmt: skip
    own = {name: weight if weight is None else replaced[weight]
           for name, weight in module._parameters.items()}  # fmt: skip
    other.__dict__ = {**module.__dict__, "_parameters": own, "_modules": parts}
    return other


@contextmanager
def differentiable() -> Iterator[None]:
    """Gradients, full float32, and no cuDNN: in evaluation mode its layers have no gradient."""
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        yield
