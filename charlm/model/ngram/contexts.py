"""The state of an n-gram model, and the distribution of the next token that follows from it.

The state of a stream is a row (L,) of nodes, those of the last 0, 1, ..., L - 1 tokens, where L is
the model's order.  A node is ABSENT where training has not met these tokens in a row, or where a
boundary lies among them.  Letters: B lanes, N tokens of a stream, V vocabulary.
"""

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.model.ngram.counts import ABSENT, check_ids, look_up, next_nodes
from charlm.model.ngram.kneser_ney import NgramModel

__all__ = ["advance", "distributions", "start", "states"]


def start(model: NgramModel, lanes: int) -> np.ndarray:
    """The states (B, L) of B = ``lanes`` streams before any token."""
    nodes = np.full((lanes, model.order), ABSENT, dtype=np.int32)
    nodes[:, 0] = 0
    return nodes


def states(model: NgramModel, ids: np.ndarray) -> np.ndarray:
    """ids (N,) from the beginning of a stream -> the states (N, L) after each of them.

    Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    check_ids(ids, model.vocab_size)
    nodes = start(model, len(ids))
    ending = np.zeros(len(ids), dtype=np.int32)
    for length, keys in enumerate(model.keys[:-1], start=1):
        _, ending = look_up(keys, length, ending, ids, model.vocab_size)
        nodes[:, length] = ending
    nodes[ids == BOUNDARY_ID, 2:] = ABSENT
    return nodes


def advance(model: NgramModel, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """States (B, L) and the tokens (B,) that follow -> the states (B, L) after these tokens."""
    after = start(model, len(nodes))
    after[:, 1:2] = tokens[:, None]
    for length in range(2, model.order):
        contexts = np.where(tokens == BOUNDARY_ID, ABSENT, nodes[:, length - 1])
        if np.all(contexts == ABSENT):
            break  # longer ones contain these, so they are absent too
        after[:, length] = next_nodes(model.keys[length - 1], contexts, tokens, model.vocab_size)
    return after


def distributions(model: NgramModel, nodes: np.ndarray) -> np.ndarray:
    """States (B, L) -> the distributions (B, V) of the tokens that follow.

    Needs memory for B * V numbers, and a few times more only where nearly every token has followed
    every context.
    """
    shares = np.ones(len(nodes))  # of the probability, left by longer contexts to shorter ones
    p = np.zeros((len(nodes), model.vocab_size))
    for length in range(model.order, 1, -1):
        rows = np.flatnonzero(nodes[:, length - 1] != ABSENT)
        if len(rows):
            contexts = nodes[rows, length - 1]
            owners, children, tokens = following(model.keys[length - 1], contexts, model.vocab_size)
            level = model.levels[length - 1]
            seen = level.seen(children, contexts[owners])
            p[rows[owners], tokens] += shares[rows[owners]] * seen
            shares[rows] *= level.shares[contexts]
    p += shares[:, None] * model.unigram
    return p


def following(
    keys: np.ndarray, contexts: np.ndarray, vocab_size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All F pairs of a context (n,) and a token that training has seen after it.

    Returns the index of the context (F,), the node of both together among ``keys`` (M,) (F,), and
    the token (F,), ordered by context and token.
    """
    lowest = contexts.astype(np.int64) * vocab_size
    begins, ends = keys.searchsorted(lowest), keys.searchsorted(lowest + vocab_size)
    sizes = ends - begins
    owners = np.repeat(np.arange(len(contexts)), sizes)
    children = np.arange(len(owners)) + np.repeat(begins - sizes.cumsum() + sizes, sizes)
    return owners, children, keys[children] - lowest[owners]
