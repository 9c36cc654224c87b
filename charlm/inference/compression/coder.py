"""Logits to whole probabilities, and those to bits: arithmetic coding with constriction.

Letters: N tokens, B lanes, V vocabulary.  The tokens are cut into B parts of the same length or one
less, and the lanes read them side by side: a step of the network for all costs little more than
one for a single lane.
"""

import hashlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol

import numpy as np

from charlm.errors import CharlmError
from charlm.inference.compression.tables import LOGIT, odds

__all__ = ["Coded", "Decoded", "Steps", "constriction", "decode", "encode", "weigh"]

PRECISION = 24
"""Probabilities are whole multiples of 2**-PRECISION, and none is zero; constriction's own."""

MOST = float(1 << 20)
"""Logits beyond are cut off."""

EVERY = 32
"""Steps between two reports of progress."""

WITNESSED = 64
"""Steps whose logits are remembered, to tell whether another machine computes the same."""


class Steps(Protocol):
    """A model that reads one token in each lane and predicts the next."""

    def step(self, tokens: np.ndarray) -> np.ndarray:
        """tokens (B,), in the first step boundaries -> logits (B, V), float64."""
        ...


@dataclass(frozen=True)
class Coded:
    """Tokens as bits.  ``nats`` is what they cost under the model, whose numbers are not rounded.

    ``witness`` is a hash of the first logits, bit by bit.
    """

    data: bytes
    nats: float
    witness: bytes


@dataclass(frozen=True)
class Decoded:
    """Tokens (N,) found in bits, and the witness of the numbers they were found with."""

    ids: np.ndarray
    witness: bytes


def weigh(logits: np.ndarray) -> np.ndarray:
    """logits (B, V) -> weights (B, V), whole numbers that sum to 2**PRECISION - V.

    With one added to each they are the probabilities; constriction adds it.  A function of the
    logits rounded to multiples of 2**-LOGIT, exact from there on.
    """
    # A network whose numbers went astray still codes, badly.
    steps = np.rint(np.clip(np.nan_to_num(logits), -MOST, MOST) * (1 << LOGIT))
    best = steps.argmax(axis=1)[:, None]
    below = np.take_along_axis(steps, best, axis=1) - steps
    weights: np.ndarray = odds().take(below.astype(np.intp), mode="clip")
    free = float((1 << PRECISION) - logits.shape[1])
    weights *= free / weights.sum(axis=1, keepdims=True)
    np.floor(weights, out=weights)
    rest = free - weights.sum(axis=1, keepdims=True)
    np.put_along_axis(weights, best, np.take_along_axis(weights, best, axis=1) + rest, axis=1)
    return weights


def encode(steps: Steps, ids: np.ndarray, lanes: int) -> Generator[int, None, Coded]:
    """Code ids (N,); yields how many are done."""
    coder, family, witness = constriction().queue.RangeEncoder(), categorical(), Witness()
    rows = lay_out(ids, lanes)  # (B, T)
    tokens, nats = np.zeros(lanes, dtype=np.int64), 0.0
    for number, active in enumerate(active_lanes(len(ids), lanes)):
        logits = steps.step(tokens)
        witness.add(logits)
        tokens = rows[:, number]
        coder.encode(tokens[:active].astype(np.int32), family, weigh(logits)[:active])
        nats += surprisal(logits[:active], tokens[:active])
        if number % EVERY == 0:
            yield number * lanes
    return Coded(coder.get_compressed().astype("<u4").tobytes(), nats, witness.digest())


def decode(steps: Steps, data: bytes, count: int, lanes: int) -> Generator[int, None, Decoded]:
    """Find the tokens (count,) that ``encode`` coded; yields how many are done.

    With another model's probabilities they are any tokens, and zeros where the bits make no sense.
    """
    words = np.frombuffer(data, dtype="<u4").astype(np.uint32)
    coder, family, witness = constriction().queue.RangeDecoder(words), categorical(), Witness()
    rows = lay_out(np.zeros(count, dtype=np.int64), lanes)
    tokens = np.zeros(lanes, dtype=np.int64)
    for number, active in enumerate(active_lanes(count, lanes)):
        logits = steps.step(tokens)
        witness.add(logits)
        try:
            rows[:active, number] = coder.decode(family, weigh(logits)[:active])
        except AssertionError:
            break
        tokens = rows[:, number]
        if number % EVERY == 0:
            yield number * lanes
    sizes = np.bincount(np.arange(count) % lanes, minlength=lanes)
    ids = [row[:size] for row, size in zip(rows, sizes, strict=True)]
    return Decoded(np.concatenate(ids), witness.digest())


def lay_out(ids: np.ndarray, lanes: int) -> np.ndarray:
    """ids (N,) in contiguous parts, the longer ones first, filled up with zeros: (B, T)."""
    short, longer = divmod(len(ids), lanes)
    rows = np.zeros((lanes, short + (longer > 0)), dtype=np.int64)
    cut = longer * (short + 1)
    rows[:longer] = ids[:cut].reshape(longer, rows.shape[1])
    rows[longer:, :short] = ids[cut:].reshape(lanes - longer, short)
    return rows


def active_lanes(count: int, lanes: int) -> Iterator[int]:
    """For each step how many lanes have a token left; the longer ones come first."""
    short, longer = divmod(count, lanes)
    yield from repeat(lanes, short)
    if longer:
        yield longer


def surprisal(logits: np.ndarray, tokens: np.ndarray) -> float:
    """Summed nll in nats of tokens (B,) under logits (B, V)."""
    above = logits - logits.max(axis=1, keepdims=True)
    picked = np.take_along_axis(above, tokens[:, None], axis=1)
    return float(np.log(np.exp(above).sum(axis=1)).sum() - picked.sum())


class Witness:
    """Remembers the first logits as a hash."""

    def __init__(self) -> None:
        self.hash = hashlib.sha256()
        self.left = WITNESSED

    def add(self, logits: np.ndarray) -> None:
        """Take note of the logits of a step."""
        if self.left:
            self.hash.update(logits.astype("<f8").tobytes())
            self.left -= 1

    def digest(self) -> bytes:
        """Eight bytes."""
        return self.hash.digest()[:8]


def categorical() -> Any:
    """Distributions by their weights, for any number of tokens."""
    return constriction().model.Categorical(perfect=False)


def constriction() -> Any:
    """The streams of constriction.  Raises ``CharlmError`` where it is not installed."""
    try:
        import constriction
    except ModuleNotFoundError:
        raise CharlmError(
            "compression needs the package constriction, which is not installed",
            "pip install -c constraints.txt -e '.[compress]'",
        ) from None
    return constriction.stream
