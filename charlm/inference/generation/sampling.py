"""One token after the other by all settings of generation, for several texts side by side.

A text is a lane: B lanes, V vocabulary, N tokens so far.
"""

import copy
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from charlm.config import BOUNDARY_ID, GenerationConfig
from charlm.errors import ConfigError
from charlm.inference.generation.filters import (
    filter_by_chance,
    filter_logits,
    keep_surprise,
    log_sum_exp,
    pick,
    pick_likeliest,
)
from charlm.inference.generation.penalties import History, penalize
from charlm.model.native.sampling import LaneTexts

__all__ = ["Constraint", "PatternState", "Rules", "Sampler", "Start", "TokenTables"]


class TokenTables(NamedTuple):
    """A constraint as an automaton over tokens, by which the compiled decoder can sample.

    The state after each token (S, V), int32; what tokens cost of what is ``left`` of the length
    (K, V), in a state by row ``state % K``; and the least cost (S,) from each state to one where
    the text may end, which is 0 there alone.  Costs are float32, and infinite for what never comes.
    """

    following: np.ndarray
    costs: np.ndarray
    distances: np.ndarray


class PatternState(NamedTuple):
    """Where a text stands: a row of ``TokenTables.following``, and what is left of the length."""

    row: int
    left: float


class Constraint(Protocol):
    """Which tokens may come next in a text.

    A state is what a constraint knows of one text so far; it is never changed in place.  With
    ``ends`` a text that may end does so where the model would go on with what is not allowed;
    without it, the model has to go on with what is allowed.
    """

    ends: bool

    @property
    def tables(self) -> TokenTables | None:
        """What decides which tokens come, if tables do: then the states are ``PatternState``."""

    def start(self, prompt: str) -> Any:
        """The state after a prompt.  Raises ``ConfigError`` where the prompt breaks it."""

    def allowed(self, state: Any) -> Tensor | np.ndarray | None:
        """Which tokens (V,) may come next, bool; None where all may."""

    def advance(self, state: Any, token: int) -> Any:
        """The state after one more token, which was allowed."""

    def free(self, state: Any, tokens: Sequence[int]) -> int:
        """How many of the ``tokens`` come, one after the other, where all tokens are allowed for
        certain.
        """


class Rules(NamedTuple):
    """How tokens are sampled.  ``logit_bias`` (V,) is added to the logits; ``widths`` (V,) say how
    far each token brings a text to its ``length``; ``breakers`` (V,) end DRY's matches.
    """

    config: GenerationConfig
    logit_bias: Tensor
    widths: Tensor | None = None
    breakers: Tensor | None = None
    constraints: Sequence[Constraint] = ()


class Start(NamedTuple):
    """Where a text begins: the ids of its prompt, boundary included, its seed, the state of each
    constraint after the prompt, and the ids that come before, which the model has read already.
    """

    ids: tuple[int, ...]
    seed: int
    states: tuple[Any, ...] = ()
    before: tuple[int, ...] = ()


def restrict(logits: np.ndarray, allowed: np.ndarray, *, ends: bool) -> None:
    """Rule out in ``logits`` (V,) what is not ``allowed`` (V,).

    With ``ends`` its probability goes to the boundary, where that is allowed.
    """
    if ends and allowed[BOUNDARY_ID]:
        others = np.where(allowed, -math.inf, logits)
        others[BOUNDARY_ID] = logits[BOUNDARY_ID]
        if others.max() > -math.inf:
            logits[BOUNDARY_ID] = log_sum_exp(others[None])[0, 0]
    logits[~allowed] = -math.inf


class Sampler:
    """What sampling has to know of the texts in B lanes, besides what the model knows."""

    def __init__(self, rules: Rules, starts: Sequence[Start]) -> None:
        self.rules = rules
        self.bias = rules.logit_bias.numpy()
        self.widths = None if rules.widths is None else rules.widths.numpy()
        self.history = history_of(rules, starts)
        self.written = np.zeros(len(starts), dtype=np.float32)
        self.limit = np.full(len(starts), 2 * rules.config.mirostat_tau)  # bits
        self.states = [start.states for start in starts]
        self.pattern = next((n for n, each in enumerate(rules.constraints) if each.tables), None)
        self.tables = None if self.pattern is None else rules.constraints[self.pattern].tables
        self.limits = [n for n in range(len(rules.constraints)) if n != self.pattern]
        """The constraints that the compiled decoder does not know."""

    def fork(self) -> "Sampler":
        """Another sampler that goes on from here."""
        other = copy.copy(self)
        other.history = copy.copy(self.history)
        other.select(torch.arange(len(self.states)))
        return other

    def free(self, tokens: Sequence[Sequence[int]]) -> int:
        """How many of the next ``tokens`` (B, T) no limit has to do with, in any lane."""
        found = len(tokens[0])
        for states, own in zip(self.states, tokens, strict=True):
            for n in self.limits:
                found = self.rules.constraints[n].free(states[n], own[:found])
        return found

    def select(self, lanes: Tensor) -> None:
        """Go on with these lanes (b,)."""
        if self.history is not None:
            self.history.select(lanes.numpy())
        self.written, self.limit = self.written[lanes.numpy()], self.limit[lanes.numpy()]
        self.states = [self.states[lane] for lane in lanes.tolist()]

    def texts(self, count: int) -> LaneTexts:
        """What the compiled decoder needs to sample the next ``count`` tokens, and keeps up to
        date; only this sampler's arrays keep the addresses in it valid.
        """
        config, found = self.rules.config, LaneTexts()
        if self.history is not None:
            found = self.history.texts(count)
        if config.mirostat_tau > 0:
            found.limit = self.limit.ctypes.data
        if config.temperature_end is not None and self.widths is not None:
            found.widths, found.written = self.widths.ctypes.data, self.written.ctypes.data
        if self.tables is not None and self.pattern is not None:
            places = [states[self.pattern] for states in self.states]
            self.rows = np.array([place.row for place in places], dtype=np.int32)
            self.left = np.array([place.left for place in places])
            found.states, found.left = self.rows.ctypes.data, self.left.ctypes.data
            found.kinds = len(self.tables.costs)
            for name, table in self.tables._asdict().items():
                setattr(found, name, table.ctypes.data)
        return found

    def go_on(self, tokens: Sequence[Sequence[int]]) -> None:
        """The compiled decoder has taken in these tokens (B, T)."""
        if self.history is not None:
            self.history.go_on(len(tokens[0]))
        if not self.rules.constraints:
            return
        for lane, own in enumerate(tokens):
            states = list(self.states[lane])
            for n in self.limits:
                for token in own:
                    states[n] = self.rules.constraints[n].advance(states[n], max(token, 0))
            if self.pattern is not None:
                states[self.pattern] = PatternState(int(self.rows[lane]), float(self.left[lane]))
            self.states[lane] = tuple(states)

    @np.errstate(invalid="ignore")
    def sample(self, log_probs: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """log_probs (B, V) and random numbers (B,) -> the next tokens (B,).

        -1 where log-probabilities are NaN.  Raises ``ConfigError`` where no token is allowed.
        """
        config = self.rules.config
        logits = self.constrain(log_probs + self.bias)
        if self.history is not None:
            logits = penalize(logits, self.history, config)
        if config.temperature == 0:
            tokens = pick_likeliest(logits)
        else:
            logits = filter_logits(logits, config, self.temperature())
            logits, numbers = filter_by_chance(logits, config, numbers)
            if config.mirostat_tau > 0:
                logits = keep_surprise(logits, self.limit)
            tokens = pick(logits, numbers)
        self.advance(logits, tokens)
        return tokens

    def constrain(self, logits: np.ndarray) -> np.ndarray:
        """Rule out what the constraints do not allow."""
        for number, constraint in enumerate(self.rules.constraints):
            for lane, states in enumerate(self.states):
                allowed = constraint.allowed(states[number])
                if allowed is not None:
                    restrict(logits[lane], np.asarray(allowed), ends=constraint.ends)
        if self.rules.constraints and not (logits > -math.inf).any(axis=-1).all():
            raise ConfigError(
                "there is no token left that the constraints of this text allow together",
                "loosen `pattern`, `banned`, `allowed`, `max_copy` or the other constraints",
            )
        return logits

    def temperature(self) -> float | np.ndarray:
        """The setting; with ``temperature_end`` one temperature (B, 1) for each lane."""
        config = self.rules.config
        first, last = config.temperature, config.temperature_end
        if last is None:
            return first
        done = np.minimum(self.written / max(config.length, 1), 1)[:, None]
        if config.temperature_shape == "geometric":
            return np.asarray(first * (last / first) ** done)
        if config.temperature_shape == "cosine":
            done = (1 - np.cos(math.pi * done)) / 2
        return np.asarray(first + (last - first) * done)

    def advance(self, logits: np.ndarray, tokens: np.ndarray) -> None:
        """Take in the tokens (B,) that were sampled from filtered ``logits`` (B, V)."""
        config, known = self.rules.config, np.maximum(tokens, 0)
        if config.mirostat_tau > 0:
            own = logits[np.arange(len(known)), known]
            found = (log_sum_exp(logits)[:, 0] - own) / math.log(2)
            self.limit = self.limit - config.mirostat_rate * (found - config.mirostat_tau)
        if self.history is not None:
            self.history.push(known)
        if self.widths is not None:
            self.written = self.written + self.widths[known]
        if self.rules.constraints:
            self.states = [
                tuple(
                    each.advance(state, token)
                    for each, state in zip(self.rules.constraints, states, strict=True)
                )
                for states, token in zip(self.states, known.tolist(), strict=True)
            ]


def history_of(rules: Rules, starts: Sequence[Start]) -> History | None:
    """The history of texts that have prompts only; None where no penalty asks for it."""
    config = rules.config
    neutral = (1, 0, 0, 0, 0)
    if neutral == (
        config.repetition_penalty, config.presence_penalty, config.frequency_penalty,
        config.dry_multiplier, config.no_repeat_ngram,
    ):  # fmt: skip
        return None
    # On the left, where it is least in the way, the boundary fills up shorter prompts: it is
    # neither counted nor matched.
    texts = [start.before + start.ids for start in starts]
    tokens = np.full((len(starts), max(map(len, texts))), BOUNDARY_ID)
    for row, text in zip(tokens, texts, strict=True):
        row[len(row) - len(text) :] = text
    breakers = None if rules.breakers is None else rules.breakers.numpy()
    return History(tokens, len(rules.logit_bias), config, breakers)
