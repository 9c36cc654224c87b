"""PPM is what its sequential definition says, learns from what it reads, and never looks ahead."""

import math
from collections import Counter, defaultdict
from itertools import islice

import numpy as np
import pytest

from charlm.data.synthetic.kinds import MarkovSource
from charlm.errors import TokenizerError
from charlm.model.ngram.kneser_ney import train_ngrams
from charlm.model.ngram.ppm import learn_orders

Context = tuple[int, ...]


def contexts_of(ids: list[int], at: int, order: int) -> list[Context]:
    """The contexts of a token, shortest first; none has a boundary inside."""
    found: list[Context] = [()]
    for length in range(1, min(order - 1, at) + 1):
        if length > 1 and ids[at - length + 1] == 0:
            break
        found.append(tuple(ids[at - length : at]))
    return [context for context in found if 0 not in context[1:]]


def sequential_nll(ids: list[int], vocab_size: int, order: int) -> list[float]:
    """Token by token over dictionaries: predict, then count."""
    counts: defaultdict[Context, Counter[int]] = defaultdict(Counter)
    found = []
    for at in range(1, len(ids)):
        contexts, p = contexts_of(ids, at, order), 1 / vocab_size
        for context in contexts:
            seen = counts[context]
            if seen.total():
                escape = len(seen) / 2 / seen.total()
                p = max(seen[ids[at]] - 0.5, 0) / seen.total() + escape * p
        found.append(-math.log(p))
        for context in reversed(contexts):
            known = ids[at] in counts[context]
            counts[context][ids[at]] += 1
            if known:
                break
    return found


def random_ids(seed: int, vocab_size: int, tokens: int) -> np.ndarray:
    """Uneven tokens, boundaries among them."""
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet([0.2] * vocab_size)
    return np.append(0, generator.choice(vocab_size, size=tokens, p=weights))


def nll_of(ids: np.ndarray, vocab_size: int, order: int) -> np.ndarray:
    return next(islice(learn_orders(ids, vocab_size), order - 1, None))


@pytest.mark.parametrize(("vocab_size", "tokens"), [(2, 1), (2, 60), (4, 500), (30, 700)])
def test_all_tokens_at_once_are_predicted_as_one_by_one(vocab_size: int, tokens: int) -> None:
    ids = random_ids(vocab_size, vocab_size, tokens)
    for order, nll in enumerate(islice(learn_orders(ids, vocab_size), 6), start=1):
        assert nll == pytest.approx(sequential_nll(ids.tolist(), vocab_size, order), abs=1e-9)


def test_probabilities_sum_to_one() -> None:
    ids = random_ids(1, 12, 900)
    for cut in np.random.default_rng(1).integers(1, len(ids), size=60):
        for order in (1, 2, 4):
            ends = (nll_of(np.append(ids[:cut], token), 12, order)[-1] for token in range(12))
            assert math.fsum(math.exp(-nll) for nll in ends) == pytest.approx(1, abs=1e-12)


def test_what_comes_later_changes_nothing() -> None:
    ids = random_ids(2, 9, 400)
    whole, half = nll_of(ids, 9, 4), nll_of(ids[:200], 9, 4)
    assert whole[:199] == pytest.approx(half, abs=1e-12)


def test_a_worked_example() -> None:
    """a a b: at first all 3 are alike; then a was seen once, after nothing; then once after a,
    which leaves 1/2 to the shorter context, and twice after nothing, which leaves 1/4 of that.
    """
    nll = nll_of(np.array([0, 1, 1, 2]), 3, 2)
    assert np.exp(-nll) == pytest.approx([1 / 3, 1 / 2 + 1 / 2 / 3, 1 / 2 * 1 / 4 / 3])


def test_it_learns_while_it_reads() -> None:
    """Of a source it has never seen, it predicts the second half better than one that stopped."""
    letters = MarkovSource(order=2, alphabet=8).generate(20_000, seed=3).encode()
    ids = np.append(0, np.frombuffer(letters, dtype=np.uint8) - 96)
    adaptive = nll_of(ids, 9, 3)[10_000:].mean()
    static = train_ngrams(ids[:2000], 9, 3).nll(ids)[10_000:].mean()
    assert adaptive < 0.95 * static


def test_foreign_ids_are_refused() -> None:
    with pytest.raises(TokenizerError, match="vocabulary of 3"):
        nll_of(np.array([0, 3]), 3, 1)
