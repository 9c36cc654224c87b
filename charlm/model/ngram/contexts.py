"""The contexts that an n-gram model has after each token, and what it expects there.

Shapes: B streams side by side, N tokens of each, V vocabulary, L the model's order; a state (L,) is
what ``start_states`` says.
"""

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.model.ngram.counts import ABSENT
from charlm.model.ngram.kneser_ney import NgramModel, look_up_rows

__all__ = ["distributions", "row_states"]


def row_states(model: NgramModel, rows: np.ndarray, before: np.ndarray) -> np.ndarray:
    """rows (B, N) of tokens and the states (B, L) before them -> the states (B, N, L) after each.

    Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    states = np.zeros((*rows.shape, model.order), dtype=np.int32)
    grams = look_up_rows(model.keys[:-1], rows, before, model.vocab_size)
    for length, (_, nodes) in enumerate(grams, start=1):
        states[:, :, length] = nodes
    states[rows == BOUNDARY_ID, 2:] = ABSENT
    return states


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
