"""Texts that match a regular expression as a whole, for every kind of tokenizer."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import ConfigError
from charlm.inference.generation.constraints.automata import compile_expression, distances, follow
from charlm.inference.generation.sampling import PatternState, TokenTables
from charlm.inference.generation.symbols import token_texts

__all__ = ["Pattern"]

MOST_CELLS = 1 << 26
"""Most numbers in a table of states and tokens (256 MiB)."""


class Pattern:
    """The constraint that the prompt and what follows match ``config.pattern``.

    A text can always end in time: a token may come only if the expression can be completed in
    what is left of ``length``, and the boundary only where it is complete.  Tokens with a
    ``logit_bias`` (V,) of minus infinity do not exist.
    """

    ends = True

    def __init__(
        self,
        tokenizer: Tokenizer,
        config: GenerationConfig,
        logit_bias: Tensor,
        prompts: Sequence[str] = (),
    ) -> None:
        """Raises ``ConfigError`` for an expression that is wrong, too large, or that no text of
        this vocabulary matches.
        """
        self.expression, self.boundary = config.pattern, tokenizer.boundary_id
        self.length = float("inf") if config.length < 0 else float(config.length)
        self.unit = config.unit
        self.words = tokenizer.kind == "word"
        texts = token_texts(tokenizer)
        characters = set().union(" \n", *prompts, *(text for text in texts if text))
        self.automaton = compile_expression(config.pattern, sorted(characters))
        usable = (logit_bias > -torch.inf).numpy()
        usable[self.boundary] = False
        following, costs = self.token_table(tokenizer, texts, usable)
        accepting = np.repeat(self.automaton.accepting, len(costs))
        self.tables = TokenTables(following, costs, distances(following, costs, accepting))
        self.needed: dict[int, tuple[np.ndarray, float]] = {}
        self.masks: dict[int, np.ndarray] = {}
        if not np.isfinite(self.tables.distances[0]):
            raise ConfigError(
                f"no text that this model can write matches `pattern={self.expression}`",
                "use characters of the text that it was trained on",
            )

    def token_table(
        self, tokenizer: Tokenizer, texts: Sequence[str | None], usable: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where each token leads from each row, and what it costs: characters, or 1 for tokens.

        A row is a state; for words, a state before any word and the state after a word, where
        a space comes first.  Costs are those of both kinds of rows.
        """
        states = len(self.automaton.table)
        if states * len(texts) * (2 if self.words else 1) > MOST_CELLS:
            raise ConfigError(
                f"`pattern={self.expression}` is too large: {states:,} states for "
                f"{len(texts):,} tokens",
                "use smaller repetitions, such as * and + in the place of {1,500}",
            )
        rows = [follow(self.automaton, texts)]
        widths = [np.array([len(text or "") for text in texts])]
        if self.words:
            line = tokenizer.encode("\n")
            is_word = np.array([token not in (0, *line[:1]) for token in range(len(texts))])
            spaced = [" " * int(is_word[id]) + (text or "") for id, text in enumerate(texts)]
            rows.append(follow(self.automaton, spaced))
            widths.append(widths[0] + is_word)
            rows = [each * 2 + is_word for each in rows]
        following = np.stack(rows, axis=1).reshape(-1, len(texts))
        following[:, ~usable] = len(following) - 1
        costs = np.stack(widths).astype(np.float32)
        if self.unit == "tokens":
            costs[:] = 1
        costs[:, ~usable] = np.inf
        return following, costs

    def row_of(self, state: int, after_word: bool) -> int:
        """The row of a state of the automaton."""
        return 2 * state + after_word if self.words else state

    def start(self, prompt: str) -> PatternState:
        """See ``Constraint``."""
        state, dead = 0, len(self.automaton.table) - 1
        for number, char in enumerate(prompt):
            state = int(self.automaton.table[state, self.automaton.classes[char]])
            if state == dead:
                raise ConfigError(
                    f"the prompt breaks `pattern` at its character {number + 1}, {char!r}",
                    "change the prompt, or let `pattern` begin with it",
                )
        row = self.row_of(state, bool(prompt) and not prompt[-1].isspace())
        needed = float(self.tables.distances[row])
        if not np.isfinite(needed):
            raise ConfigError(
                "the prompt breaks `pattern`: nothing this model can write completes it",
                "change the prompt or `pattern`",
            )
        if needed > self.length:
            raise ConfigError(
                f"`length` must be {needed:g} or more {self.unit} to match `pattern`, "
                f"got {self.length:g}",
                f"give `length={needed:g}` or more",
            )
        return PatternState(row, self.length)

    def allowed(self, state: PatternState) -> np.ndarray:
        """See ``Constraint``."""
        mask = self.masks.get(state.row)
        # Far from the end of the text, what may come depends on the row alone.
        if mask is not None and state.left >= self.needed[state.row][1]:
            return mask
        if state.row not in self.needed:
            following, costs, remaining = self.tables
            needed = costs[state.row % len(costs)] + remaining[following[state.row]]
            needed[self.boundary] = 0 if remaining[state.row] == 0 else np.inf
            most = needed[np.isfinite(needed)].max(initial=0)
            self.needed[state.row] = needed, float(most)
            self.masks[state.row] = needed <= most
        needed, most = self.needed[state.row]
        allowed: np.ndarray = needed <= min(state.left, most)
        return allowed

    def advance(self, state: PatternState, token: int) -> PatternState:
        """See ``Constraint``."""
        if token == self.boundary:
            return state
        following, costs, _ = self.tables
        cost = float(costs[state.row % len(costs), token])
        return PatternState(int(following[state.row, token]), state.left - cost)

    def free(self, state: PatternState, tokens: Sequence[int]) -> int:
        """See ``Constraint``: a pattern always rules something out."""
        return 0
