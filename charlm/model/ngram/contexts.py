"""The contexts that an n-gram model has after each token, and what it expects there.

A state (L,) holds the nodes of the last 0, 1, ..., L - 1 tokens read, L being the model's order;
ABSENT where training has not met them or a boundary lies between.

Shapes: B streams side by side, N tokens of each, V vocabulary.
"""

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.model.ngram.counts import ABSENT, check_ids, find_nodes, look_up
from charlm.model.ngram.kneser_ney import NgramModel

__all__ = ["distributions", "row_nll", "row_states"]


def row_states(model: NgramModel, rows: np.ndarray) -> np.ndarray:
    """rows (B, N) of tokens, the beginnings of B streams -> the states (B, N, L) after each token.

    Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    ids = rows.ravel()
    check_ids(ids, model.vocab_size)
    nodes = np.full((*rows.shape, model.order), ABSENT, dtype=np.int32)
    nodes[:, :, 0] = 0
    ending = np.zeros(len(ids), dtype=np.int32)
    for length, keys in enumerate(model.keys[:-1], start=1):
        _, ending = look_up(keys, length, ending, ids, model.vocab_size)
        # What ends earlier in a row than it is long would begin in the row before.
        nodes[:, length - 1 :, length] = ending.reshape(rows.shape)[:, length - 1 :]
    nodes[rows == BOUNDARY_ID, 2:] = ABSENT
    return nodes


def row_nll(model: NgramModel, rows: np.ndarray) -> np.ndarray:
    """rows (B, N) of tokens, N > 0, the beginnings of B streams -> nll (B, N - 1) in nats, float64,
    of all but the first.

    Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    ids = rows.ravel()
    check_ids(ids, model.vocab_size)
    before = np.arange(1, len(ids)) % rows.shape[1]  # tokens before each in its row
    p = np.full(len(ids) - 1, 1 / model.vocab_size)
    grams = find_nodes(model.keys, ids, model.vocab_size)
    for length, (level, (contexts, nodes)) in enumerate(zip(model.levels, grams, strict=True)):
        if len(rows) > 1:  # a context does not reach into the row before
            contexts, nodes = (np.where(before < length, ABSENT, x) for x in (contexts, nodes))
        p = level.refine(p, contexts, nodes)
    return np.append(np.nan, -np.log(p)).reshape(rows.shape)[:, 1:]


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
