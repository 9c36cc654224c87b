"""A network in float64, which may learn from what it reads in steps that decoding can repeat.

Dynamic evaluation (Mikolov et al. 2010; Krause et al., Dynamic Evaluation of Neural Sequence
Models, ICML 2018): after every segment, a step down the gradient of its loss, each weight's share
divided by the root of its mean square so far.

Everything is computed in float64, in one thread, in the same order, so on one machine the same
probabilities come again.  Between machines the last bits differ.  Learning would make more of such
a difference with every step; so gradients are rounded to a few bits, and what is done with them is
exact in the sense of IEEE 754: weights stay the same, bit for bit, unless a gradient happens to lie
within the last bits of where rounding changes.  The coder does the same to logits.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from charlm.model.language_model import LanguageModel, State, detach

__all__ = ["FloatNetwork", "Learning", "repeatable", "round_off"]

SLOPE = 16
"""Bits that are kept of gradients, counted from the largest of each matrix."""

TINY = 1e-8
"""Keeps weights without a gradient where they are."""


@dataclass(frozen=True)
class Learning:
    """How fast to learn: a step after each ``segment`` tokens of every lane; 0: not at all."""

    segment: int
    rate: int
    """In millionths."""


class FloatNetwork:
    """Reads tokens in B lanes, predicts the next ones, and may learn from those that came."""

    def __init__(self, network: LanguageModel, lanes: int, learning: Learning) -> None:
        self.network = copy.deepcopy(network).cpu().double().eval().requires_grad_(True)
        self.weights = list(self.network.parameters())
        self.squares = [torch.zeros_like(weight) for weight in self.weights]
        self.steps = 0
        self.learning = learning
        self.state: State = self.network.zero_state(lanes)
        self.before = self.state
        self.read: list[Tensor] = []

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """tokens (B,) -> logits (B, V) of what follows."""
        read = torch.from_numpy(tokens.copy())
        if self.learning.segment:
            self.read.append(read)
            if len(self.read) > self.learning.segment:
                self.learn()
        with torch.no_grad():
            logits, self.state = self.network(read[:, None], self.state)
        found: np.ndarray = logits[:, 0].numpy()
        return found

    def learn(self) -> None:
        """Take a step on the segment read since the last one; its last token begins the next."""
        tokens = torch.stack(self.read, dim=1)  # (B, segment + 1)
        logits, _ = self.network(tokens[:, :-1], self.before)
        loss = cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        slopes = torch.autograd.grad(loss, self.weights)
        self.steps += 1
        with torch.no_grad():
            for weight, slope, square in zip(self.weights, slopes, self.squares, strict=True):
                coarse = round_off(slope)
                # No fused operations from here on: some machines have them, and round less.
                square.mul_(1 - 1 / self.steps).add_((coarse * coarse).mul_(1 / self.steps))
                coarse.mul_(1e-6 * self.learning.rate).div_(square.sqrt().add_(TINY))
                weight.sub_(coarse)
        self.before = detach(self.state)
        self.read = self.read[-1:]


def round_off(slope: Tensor) -> Tensor:
    """Whole multiples of a power of two that is 2**-SLOPE of the largest or a little more."""
    _, exponent = math.frexp(float(slope.abs().max()))
    return (slope * 2.0 ** (SLOPE - exponent)).round_().mul_(2.0 ** (exponent - SLOPE))


@contextmanager
def repeatable() -> Iterator[None]:
    """One thread and only algorithms whose results are the same each time; then as before."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.set_num_threads(threads)
