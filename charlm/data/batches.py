"""Batches: a stream of tokens as B lanes, cut into segments of bptt steps.

A segment is a pure function of (seed, step), so that training can resume anywhere.

The stream is boundary, document, boundary, ..., boundary.  Its two ends are the same symbol, so it
is closed to a ring: every token is then the input once and the target once in each epoch, wherever
the epoch begins.  Each epoch begins somewhere else, so that segments are cut at other places.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

__all__ = ["IGNORED", "MixedSegments", "Segment", "Segments", "count_tokens"]

IGNORED = -100
"""Target where a lane has ended before its epoch's last segment; cross entropy leaves it out."""

COUNTED = 1 << 24
"""Tokens at most, evenly spread, from which frequencies are estimated."""

CPU = torch.device("cpu")

USUAL, DEVIATION, SHORTEST = 0.95, 5.0, 5.0
"""Random bptt as published: probability of a length around the full bptt, standard deviation and
least length in steps."""


@dataclass(frozen=True)
class Segment:
    """inputs (B, T) and targets (B, T), one step later; ``fresh`` (B) lanes begin at state zero.

    ``counts`` (B) says how many targets of each lane count, ``weight`` what the learning rate is
    to be multiplied with.
    """

    inputs: Tensor
    targets: Tensor
    fresh: Tensor
    counts: np.ndarray
    epoch: int
    weight: float = 1.0

    def rows(self, part: slice) -> "Segment":
        """The segment of some of the lanes only."""
        return replace(
            self,
            inputs=self.inputs[part],
            targets=self.targets[part],
            fresh=self.fresh[part],
            counts=self.counts[part],
        )

    @property
    def count(self) -> int:
        """How many targets count, over all lanes."""
        return int(self.counts.sum())


class Segments:
    """The segments of a text: ``segments[step]`` for every step, over any number of epochs."""

    def __init__(
        self,
        tokens: np.ndarray,
        batch_size: int,
        bptt: int,
        seed: int,
        reset: float = 0.0,
        random_bptt: bool = False,
        device: torch.device = CPU,
    ) -> None:
        """tokens (N,), boundaries at both ends.

        A text too small for the lanes gets fewer of them, ``batch_size``, each at least one
        segment long if it can be.  All lanes are fresh when an epoch begins, and each with
        probability ``reset`` at any other segment (as in the experiments of Melis, Dyer and
        Blunsom 2018, arXiv:1707.05589): a model that never sees state zero may fail from there.
        ``random_bptt`` cuts at random places; see ``cut_randomly``.  Segments are made on
        ``device``, where the tokens then lie as a whole; on the CPU they stay in their file.
        """
        self.tokens = tokens
        self.ring = len(tokens) - 1
        self.batch_size = max(1, min(batch_size, self.ring // bptt))
        self.bptt = bptt
        self.seed = seed
        self.reset = reset
        self.lane_starts = np.arange(self.batch_size + 1) * self.ring // self.batch_size
        self.longest_lane = int(np.diff(self.lane_starts).max())
        self.random_bptt = random_bptt
        self.cuts: tuple[int, np.ndarray] | None = None
        self.starts = torch.from_numpy(self.lane_starts).to(device)
        resident = device.type != "cpu"
        self.resident = torch.from_numpy(np.array(tokens)).to(device) if resident else None

    def __len__(self) -> int:
        """How many segments, and so optimizer steps, an epoch has."""
        return -(-self.longest_lane // self.bptt)

    def __getitem__(self, step: int) -> Segment:
        """The segment of all lanes at a step, counted from 0 over all epochs."""
        epoch, place = divmod(step, len(self))
        begin, end = self.bounds(epoch, place)
        times = torch.arange(begin, end + 1, device=self.starts.device)
        in_lane = self.starts[:-1, None] + times  # (B, T + 1)
        ids = self.at((in_lane + self.offset(epoch)) % self.ring)
        targets = ids[:, 1:].masked_fill(in_lane[:, :-1] >= self.starts[1:, None], IGNORED)
        counts = np.clip(np.diff(self.lane_starts) - begin, 0, end - begin)
        fresh = self.fresh_lanes(epoch, place)
        weight = (end - begin) / self.bptt if self.random_bptt else 1.0
        return Segment(ids[:, :-1], targets, fresh, counts, epoch, weight)

    def at(self, positions: Tensor) -> Tensor:
        """The tokens at positions of the ring, of the same shape."""
        if self.resident is not None:
            return self.resident[positions].long()
        return torch.from_numpy(self.tokens[positions.numpy()].astype(np.int64))

    def bounds(self, epoch: int, place: int) -> tuple[int, int]:
        """The steps of time, from ``begin`` to before ``end``, of an epoch's segment."""
        if not self.random_bptt:
            begin = place * self.bptt
            return begin, min(begin + self.bptt, self.longest_lane)
        if self.cuts is None or self.cuts[0] != epoch:
            self.cuts = epoch, self.cut_randomly(epoch)
        cuts = self.cuts[1]
        return int(cuts[place]), int(cuts[place + 1])

    def cut_randomly(self, epoch: int) -> np.ndarray:
        """Where the segments of an epoch begin, and where the last one ends.

        Lengths vary normally around bptt, now and then around half of it, and the learning rate
        with them (Merity, Keskar and Socher 2018, arXiv:1708.02182).  Here they are then scaled a
        little, so that every epoch has as many segments.
        """
        draws = np.random.default_rng([self.seed, epoch, 0, 1])
        usual = draws.random(len(self)) < USUAL
        lengths = draws.normal(np.where(usual, self.bptt, self.bptt / 2), DEVIATION)
        ends = np.cumsum(np.maximum(lengths, SHORTEST))
        return np.append(0, np.rint(ends * self.longest_lane / ends[-1]).astype(np.int64))

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


class MixedSegments:
    """The segments of two texts side by side, in lanes of their own; an epoch is one pass over the
    text ``new``.
    """

    def __init__(self, new: Segments, old: Segments) -> None:
        """``new`` and ``old`` have the same bptt, and no random one."""
        self.parts = (new, old)
        self.batch_size = new.batch_size + old.batch_size
        self.bptt = new.bptt

    def __len__(self) -> int:
        """How many segments an epoch has."""
        return len(self.parts[0])

    def __getitem__(self, step: int) -> Segment:
        """The segment of all lanes at a step, those of the new text first.

        The last segment of an epoch may be shorter than that of the other text.  It is filled up
        with ignored targets, which changes nothing: its lanes start at state zero then.
        """
        new, old = (part[step] for part in self.parts)
        width = max(new.inputs.shape[1], old.inputs.shape[1])
        return Segment(
            torch.cat([widened(each.inputs, width, 0) for each in (new, old)]),
            torch.cat([widened(each.targets, width, IGNORED) for each in (new, old)]),
            torch.cat([new.fresh, old.fresh]),
            np.concatenate([new.counts, old.counts]),
            new.epoch,
        )


def widened(ids: Tensor, width: int, value: int) -> Tensor:
    """ids (B, T) -> (B, ``width``), filled up with ``value``."""
    return torch.nn.functional.pad(ids, (0, width - ids.shape[1]), value=value)


def count_tokens(tokens: np.ndarray, vocab_size: int) -> Tensor:
    """How often each token (V) occurs; in a sample of the tokens if there are very many."""
    sample = tokens[:: max(1, len(tokens) // COUNTED)]
    return torch.from_numpy(np.bincount(sample, minlength=vocab_size))
