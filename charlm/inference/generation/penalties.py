"""What lowers the logits of tokens that the text so far would repeat.

Functions take and give logits (B, V) as numpy arrays; log-probabilities are logits too.  A
``History`` knows the last tokens (B, N) of each text.  The boundary is never penalised: only the
model ends a text.
"""

import math

import numpy as np

from charlm.config import BOUNDARY_ID, GenerationConfig

__all__ = ["History", "match_lengths", "penalize", "penalize_counts"]

Array = np.ndarray

LARGEST = 1e30
"""Largest power of DRY's base: beyond it a penalty is as good as a ban, and float32 ends."""

LONGEST_MATCH = 100
"""Tokens of a repetition that are counted at most: a longer one is penalised like this one."""


class History:
    """The texts so far in B lanes: their tokens (B, N), how often each came (B, V), the boundary
    never, and their repetitions: how many tokens before each position equal the last ones (B, N),
    in ``matches`` for n-grams, in ``unbroken`` for DRY, which ``breakers`` (V,), bool, interrupt.

    A new token changes them in one pass over the text, whatever the length of repetitions.
    """

    def __init__(
        self, tokens: Array, vocab_size: int, config: GenerationConfig, breakers: Array | None
    ) -> None:
        self.config, self.lanes = config, np.arange(len(tokens))
        self.breakers = np.zeros(vocab_size, dtype=bool) if breakers is None else breakers.copy()
        self.breakers[BOUNDARY_ID] = True
        self.only_boundary = np.zeros(vocab_size, dtype=bool)
        self.only_boundary[BOUNDARY_ID] = True
        self.tokens = tokens[:, -config.penalty_window :]  # all with a window of 0
        self.counts = np.zeros((len(tokens), vocab_size), dtype=np.float32)
        np.add.at(self.counts, (self.lanes[:, None], self.tokens), 1)
        self.counts[:, BOUNDARY_ID] = 0
        most = max(config.no_repeat_ngram, LONGEST_MATCH)
        self.matches = match_lengths(self.tokens, most, self.only_boundary)
        self.unbroken = match_lengths(self.tokens, most, self.breakers)

    def push(self, tokens: Array) -> None:
        """Take in the next tokens (B,)."""
        if self.config.no_repeat_ngram:
            self.matches = longer(self.matches, self.tokens, tokens, self.only_boundary)
        if self.config.dry_multiplier:
            self.unbroken = longer(self.unbroken, self.tokens, tokens, self.breakers)
        self.tokens = np.concatenate([self.tokens, tokens[:, None]], axis=1)
        self.counts[self.lanes, tokens] += 1
        window = self.config.penalty_window
        if window and self.tokens.shape[1] > window:
            self.counts[self.lanes, self.tokens[:, 0]] -= 1
            self.tokens = self.tokens[:, 1:]
            # What stood before the window counts no longer.
            most = np.arange(window)
            if self.config.no_repeat_ngram:
                self.matches = np.minimum(self.matches[:, -window:], most)
            if self.config.dry_multiplier:
                self.unbroken = np.minimum(self.unbroken[:, -window:], most)
        self.counts[:, BOUNDARY_ID] = 0

    def select(self, lanes: Array) -> None:
        """Go on with these lanes (b,)."""
        self.tokens, self.counts = self.tokens[lanes], self.counts[lanes]
        self.matches, self.unbroken = self.matches[lanes], self.unbroken[lanes]
        self.lanes = np.arange(len(lanes))


def longer(lengths: Array, tokens: Array, new: Array, breakers: Array) -> Array:
    """The lengths (B, N + 1) of matches once tokens (B, N) are followed by the ``new`` (B,)."""
    found = np.zeros((len(tokens), tokens.shape[1] + 1), dtype=np.int64)
    same = tokens == np.where(breakers[new], -1, new)[:, None]
    np.multiply(lengths + 1, same, out=found[:, 1:])
    return found


def match_lengths(tokens: Array, most: int, breakers: Array) -> Array:
    """tokens (B, N) -> how many tokens before each position equal the last ones (B, N), counted up
    to ``most``; a match does not reach over one of ``breakers`` (V,), bool.
    """
    lanes, count = tokens.shape
    lengths = np.zeros((lanes, count), dtype=np.int64)
    same = np.ones((lanes, count), dtype=bool)
    for back in range(1, min(most, count - 1) + 1):
        last = tokens[:, count - back, None]  # (B, 1)
        # Of position i the token before, as far back: positions that have none drop out.
        same = same[:, 1:] & (tokens[:, :-back] == last) & ~breakers[last]
        if not same.any():
            break
        lengths[:, back:] += same
    return lengths


def penalize_counts(
    log_probs: Array, counts: Array, repetition: float, presence: float, frequency: float
) -> Array:
    """Lower tokens by their ``counts`` (B, V): times ``repetition`` (Keskar et al. 2019,
    arXiv:1909.05858), less ``presence``, less ``frequency`` for each time.
    """
    seen = counts > 0
    log_probs = np.where(seen, log_probs * repetition, log_probs)
    return log_probs - presence * seen.astype(log_probs.dtype) - frequency * counts


def penalize_repetitions(logits: Array, history: History, config: GenerationConfig) -> Array:
    """Lower a token that would go on a repetition of n >= ``dry_allowed_length`` tokens by
    ``dry_multiplier`` * ``dry_base``^(n - allowed) (DRY, by p-e-w 2024).
    """
    allowed = config.dry_allowed_length
    lanes, positions = np.nonzero(history.unbroken >= allowed)
    if not len(lanes):
        return logits
    longest = np.full(logits.shape, -1)
    lengths = np.minimum(history.unbroken[lanes, positions], LONGEST_MATCH)
    np.maximum.at(longest, (lanes, history.tokens[lanes, positions]), lengths)
    longest[:, BOUNDARY_ID] = -1
    power = np.minimum(config.dry_base ** np.maximum(longest - allowed, 0.0), LARGEST)
    lower = logits - (config.dry_multiplier * power).astype(logits.dtype)
    return np.where(longest >= allowed, lower, logits)


def exclude_repeated(logits: Array, history: History, n: int) -> Array:
    """Rule out tokens that would complete n tokens in a row that the text has already (Paulus et
    al. 2018, arXiv:1705.04304), unless nothing would be left.
    """
    lanes, positions = np.nonzero(history.matches >= n - 1)
    if not len(lanes):
        return logits
    fewer = logits.copy()
    fewer[lanes, history.tokens[lanes, positions]] = -math.inf
    fewer[:, BOUNDARY_ID] = logits[:, BOUNDARY_ID]
    left = (fewer > -math.inf).any(axis=-1, keepdims=True)
    return np.where(left, fewer, logits)


def penalize(log_probs: Array, history: History, config: GenerationConfig) -> Array:
    """The counted penalties, then DRY, then the n-grams that must not be repeated."""
    factors = config.repetition_penalty, config.presence_penalty, config.frequency_penalty
    if factors != (1, 0, 0):
        log_probs = penalize_counts(log_probs, history.counts, *factors)
    if config.dry_multiplier > 0:
        log_probs = penalize_repetitions(log_probs, history, config)
    if config.no_repeat_ngram > 0:
        log_probs = exclude_repeated(log_probs, history, config.no_repeat_ngram)
    return log_probs
