"""Choose the order of an n-gram model: the one that predicts other text best."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from charlm.config import BOUNDARY_ID
from charlm.errors import CorpusError
from charlm.model.ngram.counts import GramCounts
from charlm.model.ngram.kneser_ney import NgramModel, model_of, score_orders

__all__ = ["PATIENCE", "Tried", "choose_order", "highest_order", "mean_nll", "try_orders"]

HIGHEST = {"char": 12, "byte": 12}
HIGHEST_OF_WORDS = 5
"""Highest orders that are tried, for characters and bytes and for other tokens.  Higher ones
hardly improve the prediction, and cost time and memory."""

PATIENCE = 2
"""Orders in a row without improvement after which no higher one is tried."""


@dataclass(frozen=True)
class Tried:
    """An order that was tried: its counts, and the mean nll in nats per token of other text."""

    counts: GramCounts
    nll: float


def highest_order(kind: str) -> int:
    """The highest order to try with tokens of a ``kind`` of tokenizer."""
    return HIGHEST.get(kind, HIGHEST_OF_WORDS)


def try_orders(
    train: np.ndarray, valid: np.ndarray, vocab_size: int, highest: int, patience: int = PATIENCE
) -> Iterator[Tried]:
    """Yield order 1, 2, ...: counted on train (N,), predicting valid (n,), both boundary first.

    Ends with order ``highest``, or when ``patience`` orders in a row were no better than the best
    one, which saves the memory of the longest n-grams.  Raises what ``count_grams`` does, and
    ``TokenizerError`` for ids of ``valid`` outside the vocabulary.
    """
    best, stale = math.inf, 0
    for counts, nll in score_orders(train, valid, vocab_size, highest):
        mean = mean_nll(nll, valid)
        yield Tried(counts, mean)
        best, stale = (mean, 0) if mean < best else (best, stale + 1)
        if stale == patience:
            return


def mean_nll(nll: np.ndarray, ids: np.ndarray) -> float:
    """Mean of nll (N-1,) in nats over the tokens of ids (N,), boundary first, without boundaries.

    NaN if there are only boundaries.
    """
    of_text = np.asarray(ids[1:]) != BOUNDARY_ID
    return float(nll[of_text].mean()) if of_text.any() else math.nan


def choose_order(train: np.ndarray, valid: np.ndarray, vocab_size: int, highest: int) -> NgramModel:
    """Train on ids (N,) with the order that predicts valid (n,) best; of equal ones the lowest.

    Raises what ``try_orders`` does, and ``CorpusError`` if there is no text to predict.
    """
    if not np.any(valid[1:] != BOUNDARY_ID):
        raise CorpusError(
            "there is no validation text to choose an order on", "give a text to validate on"
        )
    tried = try_orders(train, valid, vocab_size, highest)
    return model_of(min(tried, key=lambda order: order.nll).counts)
