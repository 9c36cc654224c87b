"""What an n-gram model knows of what was read, and what it expects next: rows of nodes.

A row (L,) holds the nodes of the last 0, 1, ..., L - 1 tokens read, L being the model's order;
ABSENT where training has not met them or a boundary lies between.  It is the model's state.
"""

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.model.ngram.counts import ABSENT, check_ids, look_up, next_nodes
from charlm.model.ngram.kneser_ney import NgramModel

__all__ = ["advance", "distributions", "start", "states"]


def start(model: NgramModel, lanes: int) -> np.ndarray:
    """The states (B, L) of ``lanes`` that have read nothing."""
    nodes = np.full((lanes, model.order), ABSENT, dtype=np.int32)
    nodes[:, 0] = 0
    return nodes


def states(model: NgramModel, ids: np.ndarray) -> np.ndarray:
    """ids (N,), the beginning of a stream -> the states (N, L) after each of them.

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
    """States (B, L) and the tokens (B,) read next -> the states (B, L) after them."""
    after = start(model, len(nodes))
    after[:, 1:2] = tokens[:, None]
    for length in range(2, model.order):
        contexts = np.where(tokens == BOUNDARY_ID, ABSENT, nodes[:, length - 1])
        if np.all(contexts == ABSENT):
            break  # then no longer one is known either
        after[:, length] = next_nodes(model.keys[length - 1], contexts, tokens, model.vocab_size)
    return after


def distributions(model: NgramModel, nodes: np.ndarray) -> np.ndarray:
    """States (B, L) -> the distributions (B, V) of what comes next.

    Takes the memory of B times V numbers, and a few times more only where nearly every token has
    followed every context.
    """
    shares = np.ones(len(nodes))  # what the longer contexts leave to shorter ones
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
    """All that followed contexts (n,), one after the other: which of them it followed (F,), its
    nodes (F,) among ``keys`` (M,) and its tokens (F,).
    """
    lowest = contexts.astype(np.int64) * vocab_size
    begins, ends = keys.searchsorted(lowest), keys.searchsorted(lowest + vocab_size)
    sizes = ends - begins
    owners = np.repeat(np.arange(len(contexts)), sizes)
    children = np.arange(len(owners)) + np.repeat(begins - sizes.cumsum() + sizes, sizes)
    return owners, children, keys[children] - lowest[owners]
