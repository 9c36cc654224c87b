"""How far back a prediction depends on the text: by gradients, and by replaced tokens.

Shapes: N places of the text, K lags, B lanes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from charlm.errors import ConfigError, CorpusError, counted
from charlm.explain.activations import TokensRead
from charlm.explain.reading import TokenizedText
from charlm.inference.loading import Loaded, require_recurrent
from charlm.inference.scoring.uncertainty import Estimate, estimate_ratio
from charlm.model.heads import widen
from charlm.model.language_model import LanguageModel, State
from charlm.model.likelihood import evaluating

__all__ = ["Memory", "gradient_norms", "measure_memory", "prediction_changes"]

PLACES = 128
"""Predictions at most that are traced back."""

FEWEST_PLACES = 8
"""Predictions at least: fewer say little about the text."""

APART = 16
"""Tokens between two of them at least."""

LAGS = 24
"""Lags at most for which curves are given, evenly spaced on a logarithmic scale."""

TOGETHER = 32
"""Predictions that are traced side by side."""

SMALLEST = 1e-30
"""Gradients are at least this: what has vanished has a logarithm too."""

FORGOTTEN = 0.01
"""Share of the value at lag 1 below which a curve counts as forgotten."""


@dataclass(frozen=True)
class Memory:
    """How much predictions depend on what was read ``lags`` tokens before; lag 1 is the last one.

    ``gradient`` is, for each lag, the norm of the gradient of a prediction (its nll in nats) with
    respect to all of the state before that token, the geometric mean over the predictions.
    ``change`` is by how many nats (Kullback-Leibler divergence) a prediction changes when that
    token is replaced by another of the text, the mean.  Both with 95 % intervals over ``places``
    predictions, spread over the text.
    """

    name: str
    cell: str
    places: int
    lags: tuple[int, ...]
    gradient: tuple[Estimate, ...]
    change: tuple[Estimate, ...]

    @property
    def gradient_horizon(self) -> int | None:
        """The first lag from which on the gradient is below 1 % of that at lag 1; None if none."""
        return horizon(self.lags, self.gradient)

    @property
    def change_horizon(self) -> int | None:
        """The first lag from which on the change is below 1 % of that at lag 1; None if none."""
        return horizon(self.lags, self.change)


def horizon(lags: Sequence[int], curve: Sequence[Estimate]) -> int | None:
    """The first lag from which on a curve stays below ``FORGOTTEN`` of its first value."""
    above = [at for at, each in enumerate(curve) if each.value >= FORGOTTEN * curve[0].value]
    return lags[above[-1] + 1] if above[-1] + 1 < len(lags) else None


def measure_memory(
    loaded: Loaded, text: TokenizedText, reach: int = 100, seed: int = 1
) -> Iterator[TokensRead | Memory]:
    """Trace predictions of a text back over ``reach`` tokens; the last record is the ``Memory``.

    Raises ``ModelError`` for a model that is no recurrent network, and ``CorpusError`` for a text
    that is too short.
    """
    network = require_recurrent(loaded)
    stream, ends = text.stream, places_of(len(text.ids), reach)
    lags = np.unique(np.geomspace(1, reach, LAGS).round().astype(int))
    states = states_after(network, stream, ends - reach + 1)
    others = replacements(stream, ends, lags, seed)
    norms, changes = np.empty((2, len(ends), len(lags)))
    for begin in range(0, len(ends), TOGETHER):
        lanes = slice(begin, begin + TOGETHER)
        windows = torch.from_numpy(
            np.stack([stream[end - reach + 1 :][: reach + 1] for end in ends[lanes]])
        )
        windows = windows.to(network.head.bias.device)
        before = tuple(tuple(part[lanes] for part in layer) for layer in states)
        norms[lanes] = gradient_norms(network, windows, before)[:, lags - 1]
        changes[lanes] = prediction_changes(network, windows[:, :-1], before, lags, others[lanes])
        yield TokensRead(min(begin + TOGETHER, len(ends)), len(ends))
    gradient = tuple(mean(each).exponential() for each in np.log(norms.clip(SMALLEST)).T)
    change = tuple(map(mean, changes.T))
    yield Memory(
        loaded.name, network.config.cell, len(ends), tuple(lags.tolist()), gradient, change
    )


def mean(values: np.ndarray) -> Estimate:
    """The mean of values (N,), each from a place of its own."""
    return estimate_ratio(values, np.ones(len(values)))


def places_of(tokens: int, reach: int) -> np.ndarray:
    """The last tokens (N,) that predictions have read, as places of the stream.

    Raises ``CorpusError`` for a text that is too short, and ``ConfigError`` for a wrong ``reach``.
    """
    if reach < 2:
        raise ConfigError(f"`reach` must be 2 or more, got {reach}", "`reach=100`")
    count = min(PLACES, (tokens - reach) // APART)
    if count < FEWEST_PLACES:
        raise CorpusError(
            f"a text of {counted(tokens, 'token')} is too short to look {reach:,} tokens back",
            f"give one of {reach + APART * FEWEST_PLACES:,} tokens or more, or a smaller `reach`",
        )
    return np.linspace(reach, tokens - 1, count).astype(int)


def states_after(network: LanguageModel, stream: np.ndarray, counts: np.ndarray) -> State:
    """The states after so many tokens of a stream (N,), in rising order, as lanes of one state."""
    found: list[State] = []
    state, begin = network.zero_state(1), 0
    tokens = torch.from_numpy(stream)[None].to(network.head.bias.device)
    with evaluating(network):
        for count in counts.tolist():
            _, state = network.hidden_states(tokens[:, begin:count], state)
            found.append(state)
            begin = count
        return tuple(
            tuple(torch.cat(parts) for parts in zip(*layers, strict=True))
            for layers in zip(*found, strict=True)
        )


def gradient_norms(network: LanguageModel, windows: Tensor, before: State) -> np.ndarray:
    """Norms (B, K) of the gradients of predictions with respect to the states before them.

    Windows (B, K + 1) are K tokens that are read after the state ``before``, and the one that is
    predicted; column k - 1 belongs to the state before the last k tokens.  The state is all layers'
    together: a layer that hears of another's state at the same step is not a way back in time.
    """
    carried: list[list[Tensor]] = []
    with torch.enable_grad():
        state = before
        for step in range(windows.shape[1] - 1):
            # A copy stands for the state as the next step takes it up, apart from all else.
            state = tuple(tuple(part.clone().requires_grad_() for part in layer) for layer in state)
            carried.append([part for layer in state for part in layer])
            hidden, state = network.hidden_states(windows[:, step : step + 1], state)
        nll = network.losses(hidden[0], windows[:, -1]).sum()
        gradients = torch.autograd.grad(nll, [part for parts in carried for part in parts])
    steps = torch.cat(gradients, dim=1).view(len(windows), len(carried), -1)  # B, K, all of a state
    return np.asarray(steps.norm(dim=2).flip(1).double().cpu())


def prediction_changes(
    network: LanguageModel, reads: Tensor, before: State, lags: np.ndarray, others: np.ndarray
) -> np.ndarray:
    """By how many nats predictions change when one token is another: (B, lags).

    reads (B, K) are read after the state ``before``; the token at each of the rising ``lags``, of
    which 1 is the last token, is replaced by that of ``others`` (B, lags).
    """
    found = np.empty(others.shape)
    replaced = torch.from_numpy(others).to(reads.device)
    with evaluating(network):
        wanted = predict(network, reads, before)
        state, begin = before, 0
        for at in reversed(range(len(lags))):
            place = reads.shape[1] - int(lags[at])
            if place > begin:
                _, state = network.hidden_states(reads[:, begin:place], state)
            begin = place
            tokens = torch.cat([replaced[:, at : at + 1], reads[:, place + 1 :]], dim=1)
            change = wanted.exp() * (wanted - predict(network, tokens, state))
            found[:, at] = change.sum(dim=1).clamp_min(0).double().cpu().numpy()
    return found


def predict(network: LanguageModel, tokens: Tensor, state: State) -> Tensor:
    """Log-probabilities (B, V) of what follows tokens (B, T)."""
    hidden, _ = network.hidden_states(tokens, state)
    return widen(network.head(hidden[-1])).log_softmax(dim=-1)


def replacements(stream: np.ndarray, ends: np.ndarray, lags: np.ndarray, seed: int) -> np.ndarray:
    """For each end (N,) and lag another token than the one that stands there: (N, lags).

    They are drawn from the text, so that frequent tokens are frequent among them.  Raises
    ``CorpusError`` for a text of one and the same token.
    """
    there = stream[ends[:, None] - lags + 1]
    text = stream[1:]
    if text.min() == text.max():
        raise CorpusError("the text is one token over and over", "give a text that changes")
    generator = np.random.default_rng(seed)
    found = np.asarray(generator.choice(text, size=there.shape))
    while (equal := found == there).any():
        found[equal] = generator.choice(text, size=int(equal.sum()))
    return found
