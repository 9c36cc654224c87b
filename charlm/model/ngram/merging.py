"""Counts of n-grams added: a model of two texts from the model of one and the counts of the other.

A model keeps how often each of its longest n-grams occurs, and of the shorter ones after how many
different tokens; the latter are counted again from the n-grams that are a token longer.
"""

import numpy as np

from charlm.errors import ModelError
from charlm.model.ngram.counts import GramCounts, Grams
from charlm.model.ngram.kneser_ney import GivenLevel, NgramModel

__all__ = ["merged_counts"]


def merged_counts(model: NgramModel, counts: GramCounts) -> GramCounts:
    """The counts of the text of ``model`` and of the text of ``counts``, as of documents in one
    text.

    Both have one order.  The vocabulary of ``counts`` begins with that of ``model`` and may be
    larger.  Raises ``ModelError`` for a model that was imported without counts.
    """
    if any(isinstance(level, GivenLevel) for level in model.levels):
        raise ModelError(
            "the n-grams to begin with hold probabilities without counts, to which none can be "
            "added",
            "begin with a run that charlm has trained",
        )
    keys, sums = merged_keys(model, counts)
    found = preceding(keys, counts.vocab_size)
    grams = (
        Grams(own, total, np.where(before, before, total).astype(np.int32))
        for own, total, before in zip(keys, sums, found, strict=True)
    )
    return GramCounts(counts.vocab_size, tuple(grams))


def merged_keys(model: NgramModel, counts: GramCounts) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The keys (M,) of the n-grams of both, for each length, and the sums (M,) of their counts.

    Sums are numbers of occurrences for the longest n-grams, and for those that begin with a
    boundary, which no token comes before.
    """
    size = counts.vocab_size
    nodes = [np.zeros(model.vocab_size, np.int64), np.zeros(size, np.int64)]
    keys, sums = list[np.ndarray](), list[np.ndarray]()
    for level, own, grams in zip(model.levels, model.keys, counts.grams, strict=True):
        # Shorter n-grams of a model count preceding tokens.
        number = grams.preceding if len(keys) < counts.order - 1 else grams.occurrences
        tables = ((own, level.counts, model.vocab_size), (grams.keys, number, size))
        renumbered = [
            before[each // old] * size + each % old
            for (each, _, old), before in zip(tables, nodes, strict=True)
        ]
        union = np.union1d(*renumbered)
        nodes = [np.searchsorted(union, each) for each in renumbered]
        total = np.zeros(len(union), dtype=np.int32)
        for places, (_, number, _) in zip(nodes, tables, strict=True):
            total[places] += number
        keys.append(union)
        sums.append(total)
    return keys, sums


def preceding(keys: list[np.ndarray], vocab_size: int) -> list[np.ndarray]:
    """How many different tokens come before each n-gram (M,), for each length; zeros for the
    longest ones.
    """
    found = []
    suffixes = np.zeros(len(keys[0]), dtype=np.int64)  # of one token: the empty one
    for length in range(1, len(keys)):
        contexts, last = np.divmod(keys[length], vocab_size)
        wanted = suffixes[contexts] * vocab_size + last
        suffixes = np.searchsorted(keys[length - 1], wanted)
        found.append(np.bincount(suffixes, minlength=len(keys[length - 1])))
    return [*found, np.zeros(len(keys[-1]), dtype=np.int64)]
