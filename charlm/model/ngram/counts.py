"""How often each n-gram of a stream occurs, and after how many different tokens.

The n-grams of one length are nodes, numbered in the order of their keys.  The key of an n-gram is
the node of all its tokens but the last, times V, plus the last token.  So the n-grams of a length
are one sorted array in which those that share a context lie side by side, and a binary search in
the array of the next length makes an n-gram one token longer.

An n-gram may begin with a boundary and end with one, but has none inside: what came before a
boundary tells nothing about what comes after it.

Shapes: N tokens of the stream, M n-grams of one length, V vocabulary.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.errors import ConfigError, CorpusError, TokenizerError

__all__ = [
    "ABSENT",
    "GramCounts",
    "Grams",
    "check_ids",
    "count_grams",
    "extended",
    "grow_grams",
    "next_nodes",
    "number",
]

ABSENT = -1
"""In place of a node: the n-gram was not met in training, or has a boundary inside."""

LONGEST = 1 << 31
"""Tokens that a stream must stay below, because nodes and counts are kept in 32 bits."""


@dataclass(frozen=True)
class Grams:
    """The n-grams of one length.

    ``keys`` (M,) int64 in ascending order; ``occurrences`` (M,) int32; ``preceding`` (M,) int32:
    how many different tokens come right before, or the occurrences where nothing can, because
    the n-gram begins with a boundary.  ``preceding`` is empty for the longest n-grams counted.
    """

    keys: np.ndarray
    occurrences: np.ndarray
    preceding: np.ndarray


@dataclass(frozen=True)
class GramCounts:
    """The n-grams of a stream of length 1, 2, ..., in this order."""

    vocab_size: int
    grams: tuple[Grams, ...]

    @property
    def order(self) -> int:
        """Tokens of the longest n-grams counted."""
        return len(self.grams)


def count_grams(ids: np.ndarray, vocab_size: int, order: int) -> GramCounts:
    """Count the n-grams of ids (N,), boundary first, up to ``order`` tokens long.

    The first token is context only.  Takes some 45 bytes per token for the time of counting and
    16 bytes per different n-gram in the end.  Raises ``ConfigError`` for an order below 1,
    ``CorpusError`` for too long a stream, ``TokenizerError`` for ids outside the vocabulary.
    """
    if order < 1:
        raise ConfigError(f"the order of an n-gram model must be 1 or more, got {order}", "use 3")
    return next(itertools.islice(grow_grams(ids, vocab_size), order - 1, None))


def grow_grams(ids: np.ndarray, vocab_size: int) -> Iterator[GramCounts]:
    """Yield the counts of ids (N,), boundary first, up to order 1, 2, ... without end.

    Counts of neighbouring orders share arrays.  Raises ``CorpusError`` for too long a stream and
    ``TokenizerError`` for ids outside the vocabulary.
    """
    check_ids(ids, vocab_size)
    # Every token of the vocabulary is a node of its own, whether it occurs or not.
    nodes = np.asarray(ids).astype(np.int32)
    keys = np.arange(vocab_size, dtype=np.int64)
    occurrences = np.bincount(nodes[1:], minlength=vocab_size).astype(np.int32)
    shorter: tuple[Grams, ...] = ()
    for length in itertools.count(2):
        yield GramCounts(vocab_size, (*shorter, Grams(keys, occurrences, np.empty(0, np.int32))))
        ends, longer = extended(nodes, ids, vocab_size, length)
        longer_keys, longer_occurrences, longer_nodes, first = number(longer)
        found = np.bincount(nodes[ends[first]], minlength=len(keys)).astype(np.int32)
        shorter = (*shorter, Grams(keys, occurrences, np.where(found, found, occurrences)))
        keys, occurrences = longer_keys, longer_occurrences
        nodes.fill(ABSENT)
        nodes[ends] = longer_nodes


def check_ids(ids: np.ndarray, vocab_size: int) -> None:
    """Raise ``CorpusError`` for too many ids, ``TokenizerError`` for one outside the vocabulary."""
    if len(ids) >= LONGEST:
        raise CorpusError(
            f"the text has {len(ids):,} tokens, more than the {LONGEST - 1:,} that can be counted",
            "give a shorter text",
        )
    if len(ids) and not 0 <= ids.min() <= ids.max() < vocab_size:
        raise TokenizerError(
            f"token ids from {ids.min()} to {ids.max()} do not fit a vocabulary of {vocab_size}",
            "use the tokenizer that the ids were made with",
        )


def extended(
    nodes: np.ndarray, ids: np.ndarray, vocab_size: int, length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Find all n-grams of ``length`` tokens in ids (N,), from those that are a token shorter.

    ``nodes`` (N,) are the nodes of the shorter n-grams that end at each of ids.  Returns the
    indices in ids at which the longer ones end, ascending, and their keys.
    """
    contexts = nodes[:-1]
    if length == 2:
        ends = np.arange(1, len(nodes))
    else:
        ends = np.flatnonzero((contexts != ABSENT) & (ids[:-1] != BOUNDARY_ID)) + 1
    keys = contexts[ends - 1].astype(np.int64)
    keys *= vocab_size
    keys += ids[ends]
    return ends, keys


def number(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Number keys (N,) in ascending order.

    Returns the M different keys (M,), how often each occurs (M,), the number of each of ``keys``
    (N,), and for each different key an index in ``keys`` at which it stands (M,).
    """
    order = np.argsort(keys)
    ordered = keys[order]
    begins = np.ones(len(keys), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=begins[1:])
    starts = np.flatnonzero(begins)
    numbers = np.empty(len(keys), dtype=np.int32)
    numbers[order] = np.cumsum(begins, dtype=np.int32) - 1
    occurrences = np.diff(starts, append=len(keys)).astype(np.int32)
    return ordered[starts], occurrences, numbers, order[starts]


def next_nodes(
    keys: np.ndarray, contexts: np.ndarray, ids: np.ndarray, vocab_size: int
) -> np.ndarray:
    """Look up n-grams made of a context and the token after it.

    contexts (N,) are nodes or ABSENT, ids (N,) the tokens.  Returns the nodes (N,) of the n-grams
    among ``keys`` (M,), or ABSENT.
    """
    nodes = np.full(len(ids), ABSENT, dtype=np.int32)
    known = np.flatnonzero(contexts != ABSENT)
    if not len(known):
        return nodes
    wanted = contexts[known].astype(np.int64) * vocab_size + ids[known]
    # Searching in ascending order keeps to the same cache lines: ten times faster than at random.
    order = np.argsort(wanted)
    wanted = wanted[order]
    places = np.searchsorted(keys, wanted)
    hit = places < len(keys)
    hit[hit] = keys[places[hit]] == wanted[hit]
    nodes[known[order[hit]]] = places[hit]
    return nodes
