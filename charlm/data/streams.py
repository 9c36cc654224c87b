"""One stream of tokens to B lanes to segments of bptt steps: a pure function of (seed, step).

The stream is boundary, document, boundary, ..., boundary.  Its two ends are the same symbol, so it
is closed to a ring: every token is then the input once and the target once in each epoch, wherever
reading begins.  Each epoch begins somewhere else, so that segments are cut at other places.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

__all__ = ["IGNORED", "Segment", "Segments"]

IGNORED = -100
"""Target where a lane has ended before its epoch's last segment; cross entropy leaves it out."""


@dataclass(frozen=True)
class Segment:
    """inputs (B, T) and targets (B, T), one step later; ``fresh`` (B) lanes begin at state zero."""

    inputs: Tensor
    targets: Tensor
    fresh: Tensor
    epoch: int

    def rows(self, part: slice) -> "Segment":
        """Some of the lanes."""
        return Segment(self.inputs[part], self.targets[part], self.fresh[part], self.epoch)

    @property
    def count(self) -> int:
        """Targets that count."""
        return int((self.targets != IGNORED).sum())


class Segments:
    """``segments[step]`` for every step, without end."""

    def __init__(
        self, tokens: np.ndarray, batch_size: int, bptt: int, seed: int, reset: float = 0.0
    ) -> None:
        """tokens (N,), boundaries at both ends.

        A text too small for the lanes gets fewer of them, ``batch_size``, each at least one
        segment long if it can be.  All lanes are fresh when an epoch begins, and each with
        probability ``reset`` at any other segment (as in the experiments of Melis, Dyer and
        Blunsom 2018, arXiv:1707.05589): a model that never sees state zero may fail from there.
        """
        self.tokens = tokens
        self.ring = len(tokens) - 1
        self.batch_size = max(1, min(batch_size, self.ring // bptt))
        self.bptt = bptt
        self.seed = seed
        self.reset = reset
        self.lane_starts = np.arange(self.batch_size + 1) * self.ring // self.batch_size
        self.longest_lane = int(np.diff(self.lane_starts).max())

    def __len__(self) -> int:
        """Steps in an epoch."""
        return -(-self.longest_lane // self.bptt)

    def __getitem__(self, step: int) -> Segment:
        """The segment of all lanes at a step, counted from 0 over all epochs."""
        epoch, place = divmod(step, len(self))
        begin = place * self.bptt
        times = np.arange(begin, min(begin + self.bptt, self.longest_lane) + 1)
        in_lane = self.lane_starts[:-1, None] + times  # (B, T + 1)
        positions = (in_lane + self.offset(epoch)) % self.ring
        ids = torch.from_numpy(self.tokens[positions].astype(np.int64))
        ended = torch.from_numpy(in_lane[:, :-1] >= self.lane_starts[1:, None])
        targets = ids[:, 1:].masked_fill(ended, IGNORED)
        return Segment(ids[:, :-1], targets, self.fresh_lanes(epoch, place), epoch)

    def fresh_lanes(self, epoch: int, place: int) -> Tensor:
        """Which lanes (B) begin this segment at state zero."""
        if place == 0:
            return torch.ones(self.batch_size, dtype=torch.bool)
        draws = np.random.default_rng([self.seed, epoch, place]).random(self.batch_size)
        return torch.from_numpy(draws < self.reset)

    def offset(self, epoch: int) -> int:
        """Where on the ring an epoch begins: at the start of the text, then anywhere."""
        if epoch == 0:
            return 0
        return int(np.random.default_rng([self.seed, epoch]).integers(self.ring))
