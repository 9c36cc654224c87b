"""The contexts that an n-gram model has after each token, and what it expects there.

A state (L,) holds the nodes of the last 0, 1, ..., L - 1 tokens read, L being the model's order;
ABSENT where training has not met them or a boundary lies between.

Shapes: B streams side by side, N tokens of each, V vocabulary.
"""

from collections.abc import Iterator

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.model.ngram.counts import ABSENT, check_ids, next_nodes
from charlm.model.ngram.kneser_ney import NgramModel

__all__ = ["distributions", "row_nll", "row_states", "start_states"]


def start_states(model: NgramModel, lanes: int) -> np.ndarray:
    """The states (B, L) of ``lanes`` streams of which nothing has been read."""
    nodes = np.full((lanes, model.order), ABSENT, dtype=np.int32)
    nodes[:, 0] = 0
    return nodes


def look_up_rows(
    model: NgramModel, rows: np.ndarray, before: np.ndarray, longest: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Read rows (B, N) of tokens from the states ``before`` (B, L), one length after the other.

    Yields for n-grams of 1, ..., ``longest`` tokens, which end at each of the rows, the nodes
    (B, N) of their contexts and of themselves.  Raises ``TokenizerError`` for ids outside the
    vocabulary.
    """
    ids, boundary = rows.ravel(), rows == BOUNDARY_ID
    check_ids(ids, model.vocab_size)
    ending = np.zeros(rows.shape, dtype=np.int32)
    for length, keys in enumerate(model.keys[:longest]):
        contexts = np.concatenate([before[:, length : length + 1], ending[:, :-1]], axis=1)
        if length == 0:
            nodes = ending = rows.astype(np.int32)  # every token is a node
        else:
            nodes = next_nodes(keys, contexts.ravel(), ids, model.vocab_size).reshape(rows.shape)
            # No longer context reaches across a boundary.
            ending = np.where(boundary, ABSENT, nodes)
        yield contexts, nodes


def row_states(model: NgramModel, rows: np.ndarray, before: np.ndarray) -> np.ndarray:
    """rows (B, N) of tokens and the states (B, L) before them -> the states (B, N, L) after each.

    Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    states = np.zeros((*rows.shape, model.order), dtype=np.int32)
    grams = look_up_rows(model, rows, before, model.order - 1)
    for length, (_, nodes) in enumerate(grams, start=1):
        states[:, :, length] = nodes
    states[rows == BOUNDARY_ID, 2:] = ABSENT
    return states


def row_nll(
    model: NgramModel, rows: np.ndarray, before: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """rows (B, N) of tokens, N > 0, and the states (B, L) before them -> nll (B, N - 1) in nats,
    float64, of all but the first, and the states (B, L) before the last.

    Raises ``TokenizerError`` for ids outside the vocabulary.
    """
    p = np.full(rows[:, 1:].size, 1 / model.vocab_size)
    last = []
    grams = look_up_rows(model, rows, before, model.order)
    for level, (contexts, nodes) in zip(model.levels, grams, strict=True):
        p = level.refine(p, contexts[:, 1:].ravel(), nodes[:, 1:].ravel())
        last.append(contexts[:, -1])
    return -np.log(p).reshape(len(rows), -1), np.stack(last, axis=1)


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
