"""Predictions to whole probabilities, and those to bits: arithmetic coding with constriction.

Letters: N tokens, B lanes, V vocabulary.  The tokens are cut into B parts of equal length or one
less, and the lanes read them side by side: a step of the network for all costs little more than
one for a single lane.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import torch

from charlm.errors import CharlmError
from charlm.inference.compression.tables import LOGIT, tables
from charlm.inference.predictors.predictor import Predictor, State

__all__ = ["Coded", "CodingProgress", "constriction", "decode", "encode", "weigh"]

PRECISION = 24
"""Probabilities are whole multiples of 2**-PRECISION, and none is zero; constriction's own."""

MOST = float(1 << 20)
"""The largest logit; those beyond are cut off."""

EVERY = 32
"""Steps between two reports of progress."""


@dataclass(frozen=True)
class CodingProgress:
    """``done`` of ``total`` tokens are coded; ``what`` says what for."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Coded:
    """Tokens as bits, and what they cost in ``nats`` under the model's probabilities, which are
    not rounded.
    """

    data: bytes
    nats: float


def weigh(logits: np.ndarray) -> np.ndarray:
    """logits (B, V) -> weights (B, V), whole numbers that sum to 2**PRECISION - V.

    With one added to each they are the probabilities; constriction adds it.  A function of the
    logits rounded to multiples of 2**-LOGIT, exact from there on.
    """
    if not np.isfinite(logits).all():  # a network that went astray still codes, badly
        logits = np.nan_to_num(logits)
    steps = np.rint(np.clip(logits, -MOST, MOST) * (1 << LOGIT))
    lanes, best = np.arange(len(steps)), steps.argmax(axis=1)
    below = steps[lanes, best][:, None] - steps
    weights: np.ndarray = tables().odds.take(below.astype(np.intp), mode="clip")
    free = float((1 << PRECISION) - logits.shape[1])
    weights *= free / weights.sum(axis=1, keepdims=True)
    np.floor(weights, out=weights)
    weights[lanes, best] += free - weights.sum(axis=1)
    return weights


def encode(
    model: Predictor, ids: np.ndarray, lanes: int, what: str = "compressing"
) -> Generator[CodingProgress, None, Coded]:
    """Code ids (N,); ``what`` is for the records of progress."""
    coder, family = constriction().queue.RangeEncoder(), categorical()
    rows = lay_out(ids, lanes)  # (B, T)
    tokens, state, nats = np.zeros(lanes, dtype=np.int64), model.start(lanes), 0.0
    for number, active in enumerate(active_lanes(len(ids), lanes)):
        logits, state = predict(model, tokens, state)
        tokens = rows[:, number]
        coder.encode(tokens[:active].astype(np.int32), family, weigh(logits[:active]))
        nats += summed_nll(logits[:active], tokens[:active])
        if number % EVERY == 0:
            yield CodingProgress(what, number * lanes, len(ids))
    return Coded(coder.get_compressed().astype("<u4").tobytes(), nats)


def decode(
    model: Predictor, data: bytes, count: int, lanes: int
) -> Generator[CodingProgress, None, np.ndarray]:
    """Find the ids (count,) that ``encode`` coded.

    With another model's probabilities they are any tokens.  Raises ``ValueError`` where the bits
    make no sense.
    """
    words = np.frombuffer(data, dtype="<u4").astype(np.uint32)
    coder, family = constriction().queue.RangeDecoder(words), categorical()
    rows = np.zeros((EVERY, lanes), dtype=np.uint32)  # (T, B), T grows: ``count`` may be forged
    tokens, state = np.zeros(lanes, dtype=np.int64), model.start(lanes)
    for number, active in enumerate(active_lanes(count, lanes)):
        logits, state = predict(model, tokens, state)
        if number == len(rows):
            rows = np.concatenate([rows, np.zeros_like(rows)])
        try:
            rows[number, :active] = coder.decode(family, weigh(logits[:active]))
        except AssertionError:
            raise ValueError("the bits make no sense") from None
        tokens = rows[number].astype(np.int64)
        if number % EVERY == 0:
            yield CodingProgress("decompressing", number * lanes, count)
    short, longer = divmod(count, lanes)
    found = [rows[: short + (lane < longer), lane] for lane in range(lanes)]
    return np.concatenate(found).astype(np.int64)


def predict(model: Predictor, tokens: np.ndarray, state: State) -> tuple[np.ndarray, State]:
    """tokens (B,) that came -> logits (B, V) of what follows, and the state after them."""
    logits, state = model.advance(torch.from_numpy(tokens.copy()).unsqueeze(1), state)
    return logits.squeeze(1).double().numpy(), state


def lay_out(ids: np.ndarray, lanes: int) -> np.ndarray:
    """ids (N,) in contiguous parts, the longer ones first, filled up with zeros: (B, T)."""
    parts = np.array_split(ids, lanes)
    rows = np.zeros((lanes, len(parts[0])), dtype=np.int64)
    for row, part in zip(rows, parts, strict=True):
        row[: len(part)] = part
    return rows


def active_lanes(count: int, lanes: int) -> Iterator[int]:
    """For each step how many lanes have a token left; the longer ones come first."""
    short, longer = divmod(count, lanes)
    yield from repeat(lanes, short)
    if longer:
        yield longer


def summed_nll(logits: np.ndarray, tokens: np.ndarray) -> float:
    """Summed nll in nats of tokens (B,) under logits (B, V)."""
    above = logits - logits.max(axis=1, keepdims=True)
    picked = above[np.arange(len(tokens)), tokens]
    return float(np.log(np.exp(above).sum(axis=1)).sum() - picked.sum())


def categorical() -> Any:
    """constriction's distributions by their weights, one for each token that is coded."""
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
