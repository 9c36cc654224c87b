"""What lowers the logits of tokens that the text so far would repeat.

Functions take and give logits (B, V) as numpy arrays; log-probabilities are logits too.  A
``History`` knows the last tokens (B, N) of each text.  The boundary is never penalised: only the
model ends a text.
"""

import math

import numpy as np

from charlm.config import BOUNDARY_ID, GenerationConfig
from charlm.model.native.sampling import LONGEST_MATCH, LaneTexts

__all__ = ["History", "match_lengths", "penalize", "penalize_counts"]

Array = np.ndarray

LARGEST = 1e30
"""Largest power of DRY's base: beyond it a penalty is as good as a ban, and float32 ends."""


class History:
    """The texts so far in B lanes: their tokens (B, N), how often each came (B, V), the boundary
    never, and their repetitions: how many tokens before each position equal the last ones (B, N),
    in ``matches`` for n-grams, in ``unbroken`` for DRY, which ``breakers`` (V,), bool, interrupt.

    A new token changes them in one pass over the text, whatever the length of repetitions.  The
    texts stand from column ``begin`` to before ``end`` of arrays that have columns for more.
    ``dry`` holds DRY's penalty of a token for each number of tokens that it repeats.
    """

    def __init__(
        self, tokens: Array, vocab_size: int, config: GenerationConfig, breakers: Array | None
    ) -> None:
        self.config, self.lanes = config, np.arange(len(tokens))
        self.breakers = np.zeros(vocab_size, dtype=bool) if breakers is None else breakers.copy()
        self.breakers[BOUNDARY_ID] = True
        self.only_boundary = np.zeros(vocab_size, dtype=bool)
        self.only_boundary[BOUNDARY_ID] = True
        tokens = tokens[:, -config.penalty_window :]  # all with a window of 0
        self.begin, self.end = 0, tokens.shape[1]
        self.counts = np.zeros((len(tokens), vocab_size), dtype=np.float32)
        np.add.at(self.counts, (self.lanes[:, None], tokens), 1)
        self.counts[:, BOUNDARY_ID] = 0
        most = max(config.no_repeat_ngram, LONGEST_MATCH)
        self.tokens = tokens.astype(np.int32)
        self.matches = match_lengths(tokens, most, self.only_boundary)
        self.unbroken = match_lengths(tokens, most, self.breakers)
        excess = np.maximum(np.arange(LONGEST_MATCH + 1.0) - config.dry_allowed_length, 0)
        power = np.minimum(config.dry_base**excess, LARGEST)
        self.dry = (config.dry_multiplier * power).astype(np.float32)

    def reserve(self, count: int) -> None:
        """Make columns for so many more tokens."""
        if self.end + count <= self.tokens.shape[1]:
            return
        length = self.end - self.begin
        for name in ("tokens", "matches", "unbroken"):
            wider = np.zeros((len(self.lanes), 2 * length + count), dtype=np.int32)
            wider[:, :length] = getattr(self, name)[:, self.begin : self.end]
            setattr(self, name, wider)
        self.begin, self.end = 0, length

    def push(self, tokens: Array) -> None:
        """Take in the next tokens (B,)."""
        self.reserve(1)
        before = self.tokens[:, self.begin : self.end]
        if self.config.no_repeat_ngram:
            self.lengthen(self.matches, np.where(self.only_boundary[tokens], -1, tokens))
        if self.config.dry_multiplier:
            self.lengthen(self.unbroken, np.where(self.breakers[tokens], -1, tokens))
        self.tokens[:, self.end] = tokens
        self.counts[self.lanes, tokens] += 1
        begin = self.begin
        self.go_on(1)
        if self.begin > begin:
            self.counts[self.lanes, before[:, 0]] -= 1
        self.counts[:, BOUNDARY_ID] = 0

    def lengthen(self, lengths: Array, new: Array) -> None:
        """Change the ``lengths`` of matches for ``new`` tokens (B,): a length at a position goes on
        at the next one.
        """
        before = slice(self.begin, self.end)
        longer = (lengths[:, before] + 1) * (self.tokens[:, before] == new[:, None])
        lengths[:, self.begin + 1 : self.end + 1] = longer

    def go_on(self, count: int) -> None:
        """The arrays hold so many more tokens; those before the window count no longer."""
        self.end += count
        if self.config.penalty_window:
            self.begin = max(self.begin, self.end - self.config.penalty_window)

    def texts(self, count: int) -> LaneTexts:
        """What the compiled decoder needs to know of the texts, with columns for ``count`` more
        tokens: it changes these arrays, and ``go_on`` tells this object.
        """
        self.reserve(count)
        found = LaneTexts(
            self.begin, self.end, self.tokens.shape[1], self.config.penalty_window,
            self.tokens.ctypes.data, counts=self.counts.ctypes.data,
        )  # fmt: skip
        if self.config.no_repeat_ngram:
            found.matches = self.matches.ctypes.data
        if self.config.dry_multiplier:
            found.unbroken, found.dry = self.unbroken.ctypes.data, self.dry.ctypes.data
            found.breakers = self.breakers.ctypes.data
        return found

    def repeated(self, lengths: Array, least: int) -> tuple[Array, Array, Array]:
        """Where so many tokens or more equal the last ones: the lanes, how many tokens of the text
        do, and the tokens that follow them.
        """
        within = np.arange(self.end - self.begin)  # tokens before the window do not count
        lengths = np.minimum(lengths[:, self.begin : self.end], within)
        lanes, positions = np.nonzero(lengths >= least)
        tokens = self.tokens[lanes, self.begin + positions]
        kept = tokens != BOUNDARY_ID
        return lanes[kept], lengths[lanes, positions][kept], tokens[kept]

    def select(self, lanes: Array) -> None:
        """Go on with these lanes (b,)."""
        self.tokens, self.counts = self.tokens[lanes], self.counts[lanes]
        self.matches, self.unbroken = self.matches[lanes], self.unbroken[lanes]
        self.lanes = np.arange(len(lanes))


def match_lengths(tokens: Array, most: int, breakers: Array) -> Array:
    """tokens (B, N) -> how many tokens before each position equal the last ones (B, N), counted up
    to ``most``; a match does not reach over one of ``breakers`` (V,), bool.
    """
    lanes, count = tokens.shape
    lengths = np.zeros((lanes, count), dtype=np.int32)
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
    lanes, lengths, tokens = history.repeated(history.unbroken, config.dry_allowed_length)
    if not len(lanes):
        return logits
    longest = np.zeros(logits.shape, dtype=np.int64)
    np.maximum.at(longest, (lanes, tokens), np.minimum(lengths, LONGEST_MATCH))
    return np.where(longest > 0, logits - history.dry[longest], logits)


def exclude_repeated(logits: Array, history: History, n: int) -> Array:
    """Rule out tokens that would complete n tokens in a row that the text has already (Paulus et
    al. 2018, arXiv:1705.04304), unless nothing would be left.
    """
    lanes, _, tokens = history.repeated(history.matches, n - 1)
    if not len(lanes):
        return logits
    fewer = logits.copy()
    fewer[lanes, tokens] = -math.inf
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
