"""Prediction by partial matching: an n-gram model that learns each token right after it.

Cleary and Witten 1984, Data compression using adaptive coding and partial string matching, IEEE
Transactions on Communications 32; escapes by method D (Howard 1993), update exclusion, and
contexts blended rather than excluded (Bunton 1997).  With n(c, x) how often x was counted after
context c so far, n(c) the sum over x, d(c) how many different x there were, and c' the context
without its oldest token,

    p(x | c) = max(n(c, x) - 1/2, 0) / n(c) + d(c) / (2 n(c)) p(x | c')

where a token counts after the longest context, and after a shorter one only if it was new after
the one that is a token longer.  The shortest context falls back on the uniform distribution.

What a sequential program would find in its tables at each token is computed for all tokens at
once here: how often, earlier in the stream, the same n-gram or context was counted.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np

from charlm.model.ngram.counts import ABSENT, check_ids, extended, number

__all__ = ["learn_orders"]

ESCAPED = 0.5
"""What each different token leaves to the escape: method D."""


def learn_orders(ids: np.ndarray, vocab_size: int) -> Iterator[np.ndarray]:
    """For orders 1, 2, ... without end: the nll (N-1,) in nats of every token after the first of
    ids (N,), boundary first, given all before it.

    Takes some 150 bytes per token.  Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    check_ids(ids, vocab_size)
    nodes = np.asarray(ids).astype(np.int32)
    ends, labels = np.arange(1, len(ids)), nodes[1:]
    contexts = Groups(np.zeros(len(ends), dtype=np.int32))
    shorter = np.full(len(ends), 1 / vocab_size)
    for length in count(2):
        grams = Groups(labels)
        everything = np.ones(len(ends), dtype=bool)
        p = shorter.copy()
        p[ends - 1] = blend(shorter[ends - 1], contexts, grams, everything)
        yield -np.log(p)
        longer_ends, keys = extended(nodes, ids, vocab_size, length)
        longer = number(keys)[2]
        known = np.zeros(len(ids), dtype=bool)  # after the context that is a token longer
        known[longer_ends] = Groups(longer).earlier(np.ones(len(longer), dtype=bool)) > 0
        shorter[ends - 1] = blend(shorter[ends - 1], contexts, grams, ~known[ends])
        contexts = Groups(nodes[longer_ends - 1])
        ends, labels = longer_ends, longer
        nodes.fill(ABSENT)
        nodes[ends] = labels


def blend(
    shorter: np.ndarray, contexts: "Groups", grams: "Groups", counted: np.ndarray
) -> np.ndarray:
    """Probabilities (N,) given shorter contexts -> given these, in which ``counted`` (N,) count."""
    counts, totals = grams.earlier(counted), contexts.earlier(counted)
    different = contexts.earlier(counted & (counts == 0))
    finer = shorter.copy()
    known = totals > 0
    seen = np.maximum(counts[known] - ESCAPED, 0)
    finer[known] = (seen + ESCAPED * different[known] * shorter[known]) / totals[known]
    return finer


class Groups:
    """Places in a stream, put into groups by their labels."""

    def __init__(self, labels: np.ndarray) -> None:
        """labels (N,), none negative."""
        size = len(labels)
        # One sort of whole numbers, which is faster than a stable one of their places.
        self.places = np.sort(labels.astype(np.int64) * size + np.arange(size)) % max(size, 1)
        begins = np.flatnonzero(np.diff(labels[self.places], prepend=-1))
        self.begins = np.repeat(begins, np.diff(begins, append=size))

    def earlier(self, values: np.ndarray) -> np.ndarray:
        """For each place the sum of the values (N,) at earlier places of its group: (N,)."""
        ordered = values[self.places]
        sums = ordered.cumsum() - ordered
        found: np.ndarray = np.empty_like(sums)
        found[self.places] = sums - sums[self.begins]
        return found
