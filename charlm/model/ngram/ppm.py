"""Prediction by partial matching: an n-gram model that counts each token after predicting it.

Cleary and Witten 1984, Data compression using adaptive coding and partial string matching, IEEE
Transactions on Communications 32; escapes by method D (Howard 1993), update exclusion, and
contexts blended rather than excluded (Bunton 1997).  With n(c, x) how often x was counted after
context c so far, n(c) the sum over x, d(c) how many different x there were, and c' the context
without its oldest token,

    p(x | c) = max(n(c, x) - 1/2, 0) / n(c) + d(c) / (2 n(c)) p(x | c')

where a token counts after the longest context, and after a shorter one only if it was new after
the one that is a token longer.  The shortest context falls back on the uniform distribution.

A sequential program would look these counts up in tables that grow.  Here they are computed for
all tokens at once: how often an n-gram or a context was counted earlier in the stream.
"""

from collections.abc import Iterator
from itertools import count

import numpy as np

from charlm.model.ngram.counts import ABSENT, check_ids, extended, number

__all__ = ["learn_orders"]

ESCAPED = 0.5
"""Part of each different token's count that goes to shorter contexts, by method D."""


def learn_orders(ids: np.ndarray, vocab_size: int) -> Iterator[np.ndarray]:
    """Yield, for orders 1, 2, ... without end, the nll (N-1,) in nats of ids (N,), boundary first.

    Each token but the first is predicted from all before it.  Needs about 150 bytes per
    token.  Raises ``TokenizerError`` for ids outside the vocabulary.
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
    """Probabilities (N,) given shorter contexts -> given contexts of this length.

    ``counted`` (N,) says which tokens are counted after these contexts.
    """
    counts, totals = grams.earlier(counted), contexts.earlier(counted)
    different = contexts.earlier(counted & (counts == 0))
    finer = shorter.copy()
    known = totals > 0
    seen = np.maximum(counts[known] - ESCAPED, 0)
    finer[known] = (seen + ESCAPED * different[known] * shorter[known]) / totals[known]
    return finer


class Groups:
    """The positions of a stream, grouped by their labels."""

    def __init__(self, labels: np.ndarray) -> None:
        """Group the positions of labels (N,), integers from 0 on."""
        size = len(labels)
        # Sorting integers that hold label and position is faster than a stable argsort of labels.
        self.positions = np.sort(labels.astype(np.int64) * size + np.arange(size)) % max(size, 1)
        begins = np.flatnonzero(np.diff(labels[self.positions], prepend=-1))
        self.begins = np.repeat(begins, np.diff(begins, append=size))

    def earlier(self, values: np.ndarray) -> np.ndarray:
        """For each position the sum of values (N,) at earlier positions of its group: (N,)."""
        ordered = values[self.positions]
        sums = ordered.cumsum() - ordered
        found: np.ndarray = np.empty_like(sums)
        found[self.positions] = sums - sums[self.begins]
        return found
