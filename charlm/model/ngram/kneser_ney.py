"""The n-gram language model: interpolated modified Kneser-Ney over token ids.

Chen and Goodman 1999, An empirical study of smoothing techniques for language modeling, Computer
Speech & Language 13, section 3.  With a(c, x) the count of token x after context c, c' the context
without its oldest token, and N_j(c) how many tokens follow c with count j (3: with 3 or more),

    p(x | c) = (a(c, x) - D(a(c, x))) / a(c) + g(c) p(x | c')
    g(c) = (D_1 N_1(c) + D_2 N_2(c) + D_3 N_3(c)) / a(c)

where a counts occurrences for the longest n-grams and different preceding tokens for shorter
ones.  The shortest context falls back on the uniform distribution over the vocabulary.

A stream begins with the boundary, and all is in nats.  Letters: V vocabulary, M n-grams of one
length, C contexts of one length, N tokens of a stream, B streams side by side.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, tee
from typing import Self

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.model.ngram.counts import (
    ABSENT,
    GramCounts,
    check_ids,
    count_grams,
    grow_grams,
    next_nodes,
)

__all__ = [
    "FALLBACK",
    "GivenLevel",
    "Level",
    "NgramModel",
    "discounts",
    "level_of",
    "look_up_rows",
    "model_of",
    "row_nll",
    "score_orders",
    "start_states",
    "train_ngrams",
]

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of counts 1, 2, 3 and more where they cannot be estimated: in a short text, or with a
small alphabet."""

AT_ONCE = 1 << 20
"""Tokens that are scored at a time; results do not depend on it, the memory does."""


@dataclass(frozen=True)
class Level:
    """The smoothed counts of the n-grams of one length; its C contexts are a token shorter.

    ``discounts`` (4,) are subtracted from counts of 0, 1, 2, and 3 or more; ``counts`` (M,) are
    those before that; ``totals`` (C,) are sums of counts after each context; ``shares`` (C,) are
    the parts of the probability that each context leaves to shorter ones, 1 if nothing followed.
    """

    discounts: np.ndarray
    counts: np.ndarray
    totals: np.ndarray
    shares: np.ndarray

    def seen(self, nodes: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """(a(c, x) - D) / a(c) of nodes (n,) after contexts (n,), both without ABSENT: (n,)."""
        counts = self.counts[nodes]
        left = counts - self.discounts[np.minimum(counts, 3)]
        share: np.ndarray = left / np.maximum(self.totals[contexts], 1)
        return share

    def refine(self, shorter: np.ndarray, contexts: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Probabilities (N,) given shorter contexts -> given contexts (N,) of this length.

        ``nodes`` (N,) are the n-grams.  An ABSENT context leaves a probability as it is.
        """
        finer = shorter.copy()
        known = np.flatnonzero(contexts != ABSENT)
        finer[known] *= self.shares[contexts[known]]
        met = np.flatnonzero(nodes != ABSENT)
        finer[met] += self.seen(nodes[met], contexts[met])
        return finer


@dataclass(frozen=True)
class GivenLevel(Level):
    """The probabilities of the n-grams of one length where no counts are known.

    ``left`` (M,) is what each n-gram has beyond the share of its context's shorter ones.
    """

    left: np.ndarray

    @classmethod
    def of(cls, left: np.ndarray, shares: np.ndarray) -> Self:
        """A level from ``left`` (M,) and ``shares`` (C,), both float64."""
        none = np.zeros(0, dtype=np.int32)
        return cls(np.zeros(4), none, none, shares, left)

    def seen(self, nodes: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """What nodes (n,) have beyond the shorter contexts' share: (n,)."""
        found: np.ndarray = self.left[nodes]
        return found


def discounts(counts: np.ndarray) -> np.ndarray:
    """The discounts (4,) of counts 0, 1, 2, and 3 or more, from the counts (M,) of one length.

    D_j = j - (j + 1) Y n_(j+1) / n_j with Y = n_1 / (n_1 + 2 n_2), where n_j n-grams have count
    j (Chen and Goodman 1999, section 3); ``FALLBACK`` for all if one is undefined or not positive.
    """
    n1, n2, n3, n4 = (int(np.count_nonzero(counts == j)) for j in (1, 2, 3, 4))
    estimate = np.array(FALLBACK)
    if n1 and n2 and n3:
        y = n1 / (n1 + 2 * n2)
        found = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
        if np.all(found > 0):
            estimate = found
    return np.concatenate([[0.0], estimate])


def level_of(keys: np.ndarray, counts: np.ndarray, contexts: int, vocab_size: int) -> Level:
    """Smooth the n-grams of keys (M,) that have these counts (M,); ``contexts`` is C."""
    parents = keys // vocab_size
    discount = discounts(counts)
    totals = np.bincount(parents, weights=counts, minlength=contexts)
    taken = np.bincount(parents, weights=discount[np.minimum(counts, 3)], minlength=contexts)
    shares = np.divide(taken, totals, out=np.ones(contexts), where=totals > 0)
    return Level(discount, counts, totals.astype(np.int32), shares)


def level_at(counts: GramCounts, length: int) -> Level:
    """Smooth the n-grams of ``length`` tokens: the longest count occurrences, others preceding
    tokens."""
    grams = counts.grams[length - 1]
    contexts = len(counts.grams[length - 2].keys) if length > 1 else 1
    chosen = grams.preceding if length < counts.order else grams.occurrences
    return level_of(grams.keys, chosen, contexts, counts.vocab_size)


@dataclass(frozen=True)
class NgramModel:
    """A language model that predicts a token from the last ``order`` - 1 tokens.

    ``vocab_size`` V tokens share the probability, the boundary among them.  For each length there
    are the ``keys`` (M,) of its n-grams and a level of smoothed counts.
    """

    vocab_size: int
    keys: tuple[np.ndarray, ...]
    levels: tuple[Level, ...]

    @property
    def order(self) -> int:
        """Number of tokens of the longest n-grams."""
        return len(self.levels)

    @property
    def size(self) -> int:
        """Number of n-grams of all lengths."""
        return sum(map(len, self.keys))

    @cached_property
    def unigram(self) -> np.ndarray:
        """The distribution (V,) after no context."""
        level, every = self.levels[0], np.arange(self.vocab_size)
        p: np.ndarray = level.shares / self.vocab_size + level.seen(every, np.array(0))
        return p

    def nll(self, ids: np.ndarray) -> np.ndarray:
        """ids (N,), boundary first -> nll (N-1,) in nats of every token after the first.

        Raises ``TokenizerError`` for ids outside the vocabulary.
        """
        parts, states = [np.empty((1, 0))], start_states(self, 1)
        for begin in range(0, len(ids) - 1, AT_ONCE):
            rows = np.asarray(ids)[None, begin : begin + AT_ONCE + 1]
            nll, states = row_nll(self, rows, states)
            parts.append(nll)
        whole: np.ndarray = np.concatenate(parts, axis=1)[0]
        return whole


def start_states(model: NgramModel, lanes: int) -> np.ndarray:
    """The states (B, L) of B = ``lanes`` streams of which nothing has been read.

    A state holds the nodes of the last 0, 1, ..., L - 1 tokens, L being the model's order; ABSENT
    where training has not met them or a boundary lies between.
    """
    nodes = np.full((lanes, model.order), ABSENT, dtype=np.int32)
    nodes[:, 0] = 0
    return nodes


def look_up_rows(
    grams: Iterable[np.ndarray], rows: np.ndarray, before: np.ndarray, vocab_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read rows (B, N) of tokens from the states ``before`` (B, L), one length after the other.

    ``grams`` are the keys (M,) of the n-grams of 1, 2, ... tokens.  Yields for each length the
    nodes (B, N) of the n-grams that end at each of the rows: of their contexts, and of themselves.
    Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    ids, boundary = rows.ravel(), rows == BOUNDARY_ID
    check_ids(ids, vocab_size)
    ending = np.zeros(rows.shape, dtype=np.int32)
    for length, keys in enumerate(grams):
        contexts = np.concatenate([before[:, length : length + 1], ending[:, :-1]], axis=1)
        if length == 0:
            nodes = ending = rows.astype(np.int32)  # every token is a node
        else:
            nodes = next_nodes(keys, contexts.ravel(), ids, vocab_size).reshape(rows.shape)
            # No longer context reaches across a boundary.
            ending = np.where(boundary, ABSENT, nodes)
        yield contexts, nodes


def row_nll(
    model: NgramModel, rows: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """rows (B, N) of tokens, N > 0, and the states (B, L) before them -> nll (B, N - 1) in nats,
    float64, of all but the first, and the states (B, L) before the last.

    Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    p = np.full(rows[:, 1:].size, 1 / model.vocab_size)
    last = []
    grams = look_up_rows(model.keys, rows, before, model.vocab_size)
    for level, (contexts, nodes) in zip(model.levels, grams, strict=True):
        p = level.refine(p, contexts[:, 1:].ravel(), nodes[:, 1:].ravel())
        last.append(contexts[:, -1])
    return -np.log(p).reshape(len(rows), -1), np.stack(last, axis=1)


def train_ngrams(ids: np.ndarray, vocab_size: int, order: int) -> NgramModel:
    """Train a model on ids (N,), boundary first.  Raises what ``count_grams`` does."""
    return model_of(count_grams(ids, vocab_size, order))


def model_of(counts: GramCounts) -> NgramModel:
    """Smooth counts into a model of their order."""
    levels = (level_at(counts, length) for length in range(1, counts.order + 1))
    keys = tuple(grams.keys for grams in counts.grams)
    return NgramModel(counts.vocab_size, keys, tuple(levels))


def score_orders(
    train: np.ndarray, ids: np.ndarray, vocab_size: int, highest: int
) -> Iterator[tuple[GramCounts, np.ndarray]]:
    """Score ids (N,) with models of train (n,) of the orders 1, ..., ``highest``, both boundary
    first: yield the counts and the nll (N-1,) in nats.

    All orders together cost little more than the highest alone, because models share the shorter
    n-grams.  Raises what ``count_grams`` does, and ``TokenizerError`` for ids outside the
    vocabulary.
    """
    every, grown = tee(islice(grow_grams(train, vocab_size), highest))
    before = np.array([[0] + [ABSENT] * (highest - 1)], dtype=np.int32)
    keys = (counts.grams[-1].keys for counts in grown)
    p = np.full(max(len(ids) - 1, 0), 1 / vocab_size)
    found = p, p  # nothing is looked up yet
    looked_up = look_up_rows(keys, np.asarray(ids)[None], before, vocab_size)
    for counts, (contexts, nodes) in zip(every, looked_up, strict=True):
        if counts.order > 1:  # a shorter length now counts preceding tokens
            p = level_at(counts, counts.order - 1).refine(p, *found)
        found = contexts[0, 1:], nodes[0, 1:]
        yield counts, -np.log(level_at(counts, counts.order).refine(p, *found))
