"""The order of an n-gram model is chosen by the prediction of other text."""

import numpy as np
import pytest

from charlm.data.synthetic.kinds import MarkovSource
from charlm.model.ngram.kneser_ney import (
    score_orders,
    train_ngrams,
)
from charlm.model.ngram.orders import choose_order, try_orders


def random_stream(seed: int, vocab_size: int, tokens: int, concentration: float) -> list[int]:
    """Uneven text with boundaries at both ends and some inside."""
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet([concentration] * vocab_size, size=vocab_size)
    ids = [0]
    for _ in range(tokens):
        ids.append(int(generator.choice(vocab_size, p=weights[ids[-1]])))
    return [*ids, 0]


def test_orders_scored_together_are_the_models_of_these_orders() -> None:
    ids = np.array(random_stream(6, 20, 1500, 0.3))
    scored = score_orders(ids[:1200], ids[1200:], 20, 5)
    for order, (counts, nll) in enumerate(scored, start=1):
        assert counts.order == order
        assert nll == pytest.approx(train_ngrams(ids[:1200], 20, order).nll(ids[1200:]), abs=1e-12)


def test_the_chosen_order_is_the_best_on_validation() -> None:
    source = MarkovSource(order=2, alphabet=6, concentration=0.5)
    letters = np.frombuffer(source.generate(60_000, seed=3).encode(), dtype=np.uint8) - 96
    train, valid = np.append(0, letters[:50_000]), np.append(0, letters[50_000:])
    tried = {order.counts.order: order.nll for order in try_orders(train, valid, 8, highest=9)}
    chosen = choose_order(train, valid, 8, highest=9)
    means = [train_ngrams(train, 8, order).nll(valid).mean() for order in range(1, 6)]
    assert list(tried.values()) == pytest.approx(means)  # two orders after the best one are enough
    assert chosen.order == min(tried, key=tried.__getitem__) == int(np.argmin(means)) + 1 == 3
    assert chosen.nll(valid).mean() == pytest.approx(min(means))
    assert choose_order(train, valid, 8, highest=2).order == 2


def test_boundaries_do_not_choose_the_order() -> None:
    train = np.array([0, *[1, 2] * 30, 0])
    tried = try_orders(train, np.array([0, 1, 2, 0, 0, 0]), 3, highest=2)
    expected = [train_ngrams(train, 3, order).nll(np.array([0, 1, 2])).mean() for order in (1, 2)]
    assert [order.nll for order in tried] == pytest.approx(expected)
