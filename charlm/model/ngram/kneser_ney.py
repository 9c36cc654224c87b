"""The n-gram language model: interpolated modified Kneser-Ney over token ids.

Chen and Goodman 1999, An empirical study of smoothing techniques for language modeling, Computer
Speech & Language 13, section 3.  With a(c, x) the count of token x after context c, c' the context
without its oldest token, and N_j(c) how many tokens follow c with count j (3: with 3 or more),

    p(x | c) = (a(c, x) - D(a(c, x))) / a(c) + g(c) p(x | c')
    g(c) = (D_1 N_1(c) + D_2 N_2(c) + D_3 N_3(c)) / a(c)

where a counts occurrences for the longest n-grams and different preceding tokens for shorter
ones.  The shortest context falls back on the uniform distribution over the vocabulary.

Conventions as everywhere: a stream begins with the boundary, all is in nats.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from charlm.config import BOUNDARY_ID
from charlm.errors import CorpusError
from charlm.model.ngram.counts import (
    ABSENT,
    GramCounts,
    Grams,
    check_ids,
    count_grams,
    find_nodes,
)

__all__ = [
    "FALLBACK",
    "NgramModel",
    "best_order",
    "choose_order",
    "discounts",
    "model_of_order",
    "score_orders",
    "train_ngrams",
]

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts where counts of counts allow no estimate: few tokens, or a small alphabet."""

AT_ONCE = 1 << 20
"""Tokens scored at a time; only memory depends on it."""


@dataclass(frozen=True)
class Level:
    """What n-grams of one length say; C contexts, which are the nodes one token shorter.

    ``discounts`` (4,) are taken from counts of 0, 1, 2, 3 or more; ``counts`` (M,) before that;
    ``totals`` (C,) of counts after each context; ``shares`` (C,) of the probability that each
    context leaves to shorter ones, 1 where nothing followed.
    """

    discounts: np.ndarray
    counts: np.ndarray
    totals: np.ndarray
    shares: np.ndarray

    def seen(self, nodes: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """The discounted share of nodes (n,) after contexts (n,), both without ABSENT: (n,)."""
        counts = self.counts[nodes]
        left = counts - self.discounts[np.minimum(counts, 3)]
        share: np.ndarray = left / np.maximum(self.totals[contexts], 1)
        return share

    def refine(self, shorter: np.ndarray, contexts: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Probabilities (N,) given shorter contexts -> given these; ABSENT changes nothing."""
        finer = shorter.copy()
        known = np.flatnonzero(contexts != ABSENT)
        finer[known] *= self.shares[contexts[known]]
        met = np.flatnonzero(nodes != ABSENT)
        finer[met] += self.seen(nodes[met], contexts[met])
        return finer


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


def level_of(grams: Grams, counts: np.ndarray, contexts: int, vocab_size: int) -> Level:
    """Discount n-grams with these counts (M,) after so many contexts."""
    parents = grams.keys // vocab_size
    discount = discounts(counts)
    totals = np.bincount(parents, weights=counts, minlength=contexts)
    taken = np.bincount(parents, weights=discount[np.minimum(counts, 3)], minlength=contexts)
    shares = np.divide(taken, totals, out=np.ones(contexts), where=totals > 0)
    return Level(discount, counts, totals.astype(np.int32), shares)


def level_at(counts: GramCounts, length: int, *, longest: bool) -> Level:
    """The level of n-grams of ``length`` tokens, as the longest of a model or not."""
    grams = counts.grams[length - 1]
    contexts = len(counts.grams[length - 2].keys) if length > 1 else 1
    chosen = grams.occurrences if longest else grams.preceding
    return level_of(grams, chosen, contexts, counts.vocab_size)


@dataclass(frozen=True)
class NgramModel:
    """A language model that looks at the last ``order`` - 1 tokens.  V is its vocabulary."""

    counts: GramCounts
    levels: tuple[Level, ...]

    @property
    def order(self) -> int:
        """Tokens of the longest n-gram."""
        return len(self.levels)

    @property
    def vocab_size(self) -> int:
        """Tokens that share the probability, the boundary among them."""
        return self.counts.vocab_size

    def nll(self, ids: np.ndarray) -> np.ndarray:
        """ids (N,), boundary first -> nll (N-1,) in nats of every token after the first.

        Raises ``TokenizerError`` for ids outside the vocabulary.
        """
        check_ids(ids, self.vocab_size)
        nll = np.empty(max(len(ids) - 1, 0))
        for begin in range(1, len(ids), AT_ONCE):
            # A token of context at least, and as many as the longest n-gram needs.
            context = min(begin, max(self.order - 1, 1))
            part = ids[begin - context : begin + AT_ONCE]
            p = np.full(len(part) - 1, 1 / self.vocab_size)
            for level, found in zip(self.levels, find_nodes(self.counts, part), strict=True):
                p = level.refine(p, *found)
            nll[begin - 1 : begin - 1 + AT_ONCE] = -np.log(p[context - 1 :])
        return nll

    def distribution(self, context: ArrayLike) -> np.ndarray:
        """context (n,), everything before, boundary first -> the next token's distribution (V,).

        Raises ``TokenizerError`` for ids outside the vocabulary.
        """
        tail = self.reachable(np.asarray(context, dtype=np.int64))
        p = np.full(self.vocab_size, 1 / self.vocab_size)
        for length, level in enumerate(self.levels[: len(tail) + 1]):
            node = self.node(tail[len(tail) - length :])
            if node == ABSENT:
                break
            keys = self.counts.grams[length].keys
            begin, end = np.searchsorted(
                keys, [node * self.vocab_size, (node + 1) * self.vocab_size]
            )
            p *= level.shares[node]
            following = keys[begin:end] - node * self.vocab_size
            p[following] += level.seen(np.arange(begin, end), np.array(node))
        return p

    def reachable(self, context: np.ndarray) -> np.ndarray:
        """The end of context (n,) that matters: no more than the order, none before a boundary."""
        check_ids(context, self.vocab_size)
        tail = context[max(len(context) - self.order + 1, 0) :]
        boundaries = np.flatnonzero(tail == BOUNDARY_ID)
        return tail[boundaries[-1] :] if len(boundaries) else tail

    def node(self, gram: np.ndarray) -> int:
        """The node of gram (n,), or ABSENT; that of no tokens is 0."""
        node = 0
        for grams, token in zip(self.counts.grams, gram.tolist(), strict=False):
            key = node * self.vocab_size + token
            node = int(np.searchsorted(grams.keys, key))
            if node == len(grams.keys) or grams.keys[node] != key:
                return ABSENT
        return node


def train_ngrams(ids: np.ndarray, vocab_size: int, order: int) -> NgramModel:
    """The model of ids (N,), boundary first.  Raises what ``count_grams`` does."""
    return model_of_order(count_grams(ids, vocab_size, order), order)


def model_of_order(counts: GramCounts, order: int) -> NgramModel:
    """The model of that order from counts of n-grams at least so long."""
    lengths = range(1, order + 1)
    levels = tuple(level_at(counts, length, longest=length == order) for length in lengths)
    return NgramModel(GramCounts(counts.vocab_size, counts.grams[:order]), levels)


def score_orders(counts: GramCounts, ids: np.ndarray) -> Iterator[np.ndarray]:
    """For orders 1, 2, ...: the nll (N-1,) in nats that the model of that order gives ids (N,).

    All orders together cost little more than the highest alone, because they share the shorter
    n-grams.  Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    check_ids(ids, counts.vocab_size)
    shorter = np.full(max(len(ids) - 1, 0), 1 / counts.vocab_size)
    for length, found in enumerate(find_nodes(counts, ids), start=1):
        yield -np.log(level_at(counts, length, longest=True).refine(shorter, *found))
        if length < len(counts.grams):
            shorter = level_at(counts, length, longest=False).refine(shorter, *found)


def best_order(counts: GramCounts, valid: np.ndarray) -> tuple[int, tuple[float, ...]]:
    """The order whose model predicts valid (N,), boundary first, best; the lower of equals.

    Also the mean nll in nats per token of the text, boundaries left out, for orders 1, 2, ....
    Raises ``CorpusError`` if there is no text, ``TokenizerError`` for foreign ids.
    """
    of_text = np.asarray(valid[1:]) != BOUNDARY_ID
    if not of_text.any():
        raise CorpusError("there is no validation text to choose an order on", "give some")
    means = tuple(float(nll[of_text].mean()) for nll in score_orders(counts, valid))
    return int(np.argmin(means)) + 1, means


def choose_order(train: np.ndarray, valid: np.ndarray, vocab_size: int, highest: int) -> NgramModel:
    """Train on train (N,); the order, from 1 to ``highest``, is the best on valid (n,).

    Both are boundary first.  Raises what ``count_grams`` and ``best_order`` do.
    """
    counts = count_grams(train, vocab_size, highest)
    return model_of_order(counts, best_order(counts, valid)[0])
