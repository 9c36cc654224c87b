"""Minimal pairs: which sentence a model prefers, counted."""

import math

from charlm.data.formats.pairs import Pair
from charlm.inference.surprisal.pairs import PairCounts, PairScore


def test_two_impossible_sentences_are_a_tie() -> None:
    pair = Pair(good="a", bad="b")
    scores = [
        PairScore(pair, -1.0, -2.0, 0),
        PairScore(pair, -math.inf, -math.inf, 1),
        PairScore(pair, -math.inf, -1.0, 0),
    ]
    counts = PairCounts()
    assert list(counts.count(scores)) == scores
    (found,) = counts.accuracies()
    assert (found.pairs, found.correct, found.ties, found.unknown) == (3, 1, 1, 1)
