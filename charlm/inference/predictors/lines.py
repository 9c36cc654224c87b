"""Independent lines read side by side: the one way to batch what shares no state.

A line is a stream of its own.  Lines of about the same length share a batch, the longest first,
so that the lanes of those that have ended can be left out; equal lines are read once.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from charlm.config import BOUNDARY_ID
from charlm.inference.predictors.predictor import NUMBERS_AT_ONCE, Predictor, State

__all__ = ["measure_lines", "nll_of_lines"]

STEPS = 128
"""Most steps in one call of a model whose lanes may end at any of them."""

Result = TypeVar("Result")


def nll_of_lines(
    model: Predictor, lines: Sequence[np.ndarray], first: Sequence[int] | None = None
) -> list[np.ndarray]:
    """The nll (n,) in nats, float64, of each of the ``lines``, ids (n,).

    A line follows a boundary, or the token of ``first`` in its place.  Up to rounding the numbers
    are those of a ``Reader`` for each line.  Lines may be empty.
    """
    keys, streams = streams_of(lines, first)
    found: dict[bytes, np.ndarray] = {}
    for batch in batches(streams, model.lanes):
        own = [streams[key] for key in batch]
        nll = np.zeros((len(own), len(own[0]) - 1))
        for begin, _, part in read_batch(model, own, STEPS, model.nll):
            nll[: len(part), begin : begin + part.shape[1]] = part
        for key, row in zip(batch, nll, strict=True):
            found[key] = row[: len(streams[key]) - 1]
    return [found[key] for key in keys]


def measure_lines(
    model: Predictor,
    lines: Sequence[np.ndarray],
    measure: Callable[[Tensor, np.ndarray], Sequence[Result]],
) -> list[list[Result]]:
    """What ``measure`` finds for each token of each of the ``lines``, ids (n,).

    ``measure`` takes log-probabilities (N, V), of tokens of several lines, with the ids (N,) that
    came, and gives N results.  Few log-probabilities are held at a time.
    """
    keys, streams = streams_of(lines, None)
    found: dict[bytes, list[Result]] = {key: [] for key in keys}
    for batch in batches(streams, model.lanes):
        own = [streams[key] for key in batch]
        steps = max(1, min(STEPS, NUMBERS_AT_ONCE // model.vocab_size // len(own)))
        lengths = torch.tensor([len(stream) - 1 for stream in own])
        # The last token of a call is only predicted: it is read as the first of the next.
        read = read_batch(model, own, steps, lambda ids, state: model.advance(ids[:, :-1], state))
        for begin, tokens, log_probs in read:
            times = torch.arange(begin, begin + log_probs.shape[1])
            real = times < lengths[: len(tokens), None]  # (B, T)
            ids = tokens[:, 1:][real].numpy()
            results = iter(measure(log_probs[real.to(log_probs.device)], ids))
            for key, count in zip(batch, real.sum(dim=1).tolist(), strict=False):
                found[key] += [next(results) for _ in range(count)]
    return [found[key] for key in keys]


def streams_of(
    lines: Sequence[np.ndarray], first: Sequence[int] | None
) -> tuple[list[bytes], dict[bytes, np.ndarray]]:
    """A key for each line (n,), equal for equal streams, and the stream (n + 1,) int64 of each key:
    the line after the token that is given before it.
    """
    if not lines:
        return [], {}
    # All in one array: to make many short ones takes longer than to read them.
    ends = np.cumsum([len(line) for line in lines])
    begins = np.append(0, ends[:-1])
    tokens = np.concatenate(lines).astype(np.int64)
    whole = np.insert(tokens, begins, BOUNDARY_ID if first is None else np.array(first))
    begins, ends = begins + np.arange(len(lines)), ends + np.arange(1, len(lines) + 1)
    streams = [whole[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
    keys = [stream.tobytes() for stream in streams]
    return keys, dict(zip(keys, streams, strict=True))


def batches(streams: Mapping[bytes, np.ndarray], lanes: int) -> Iterator[list[bytes]]:
    """The keys of streams of about the same length together, the longest first."""
    order = sorted(streams, key=lambda key: len(streams[key]), reverse=True)
    for begin in range(0, len(order), lanes):
        yield order[begin : begin + lanes]


def read_batch(
    model: Predictor,
    streams: Sequence[np.ndarray],
    steps: int,
    read: Callable[[Tensor, State], tuple[Result, State]],
) -> Iterator[tuple[int, Tensor, Result]]:
    """Read streams (n + 1,), the longest first, at most ``steps`` tokens of each in one call.

    Yields where in the streams the tokens begin, tokens (B, T + 1) of the B streams that have not
    ended, zeros after their ends, and what ``read`` made of them and of the state.
    """
    lengths = np.array([len(stream) - 1 for stream in streams])
    padded = np.zeros((len(streams), lengths[0] + 1), dtype=np.int64)
    for row, stream in zip(padded, streams, strict=True):
        row[: len(stream)] = stream
    state = model.start(len(streams))
    lanes = len(streams)
    for begin in range(0, int(lengths[0]), steps):
        left = int(np.count_nonzero(lengths > begin))
        if left < lanes:
            lanes, state = left, model.select(state, torch.arange(left, device=model.device))
        tokens = torch.from_numpy(padded[:lanes, begin : begin + steps + 1])
        result, state = read(tokens.to(model.device), state)
        yield begin, tokens, result
