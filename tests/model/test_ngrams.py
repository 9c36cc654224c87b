"""The n-gram model is interpolated modified Kneser-Ney, whatever the alphabet and the order."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from numpy.typing import ArrayLike

from charlm.data.synthetic.kinds import MarkovSource
from charlm.errors import ConfigError, CorpusError, TokenizerError
from charlm.model.ngram import kneser_ney as ngrams
from charlm.model.ngram.contexts import distributions, row_states
from charlm.model.ngram.counts import ABSENT
from charlm.model.ngram.kneser_ney import (
    FALLBACK,
    NgramModel,
    discounts,
    start_states,
    train_ngrams,
)
from charlm.model.ngram.orders import choose_order

Gram = tuple[int, ...]


def distribution(model: NgramModel, context: ArrayLike) -> np.ndarray:
    """The distribution of what follows a context, everything before, boundary first."""
    ids = np.asarray(context, dtype=np.int64)
    states = row_states(model, ids[None], start_states(model, 1))[0]
    return distributions(model, states[-1:])[0] if len(ids) else model.unigram


def known(model: NgramModel, context: np.ndarray) -> bool:
    """Whether training has met the end of a context that is within the order and a document."""
    since = len(context) - np.flatnonzero(np.append(0, context) == 0)[-1]
    length = min(model.order - 1, since + int(since < len(context)))
    states = row_states(model, context[None], start_states(model, 1))[0]
    return bool(states[-1, length] != ABSENT)


class BruteForce:
    """The formulas of Chen and Goodman 1999, section 3, over dictionaries of tuples."""

    def __init__(self, ids: list[int], vocab_size: int, order: int) -> None:
        self.vocab_size, self.order = vocab_size, order
        occurrences: Counter[Gram] = Counter()
        for end in range(1, len(ids)):
            for length in range(1, order + 1):
                begin = end - length + 1
                if begin < 0 or 0 in ids[begin + 1 : end]:
                    break
                occurrences[tuple(ids[begin : end + 1])] += 1
        before: defaultdict[Gram, set[int]] = defaultdict(set)
        for gram in occurrences:
            before[gram[1:]].add(gram[0])
        self.counts = {
            gram: count if len(gram) == order or gram not in before else len(before[gram])
            for gram, count in occurrences.items()
        }
        self.discounts = {n: self.estimate(n) for n in range(1, order + 1)}

    def estimate(self, length: int) -> list[float]:
        n = Counter(count for gram, count in self.counts.items() if len(gram) == length)
        if n[1] and n[2] and n[3]:
            y = n[1] / (n[1] + 2 * n[2])
            found = [j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3)]
            if min(found) > 0:
                return [0.0, *found]
        return [0.0, *FALLBACK]

    def probability(self, token: int, context: Gram) -> float:
        if 0 in context:
            context = context[len(context) - 1 - context[::-1].index(0) :]
        context = context[max(0, len(context) - self.order + 1) :]
        return self.interpolated(token, context)

    def interpolated(self, token: int, context: Gram) -> float:
        shorter = self.interpolated(token, context[1:]) if context else 1 / self.vocab_size
        follow = [self.counts.get((*context, x), 0) for x in range(self.vocab_size)]
        total = sum(follow)
        if not total:
            return shorter
        d = self.discounts[len(context) + 1]
        left = sum(d[min(count, 3)] for count in follow) / total
        return (follow[token] - d[min(follow[token], 3)]) / total + left * shorter


def random_stream(seed: int, vocab_size: int, tokens: int, concentration: float) -> list[int]:
    """Uneven text with boundaries at both ends and some inside."""
    generator = np.random.default_rng(seed)
    weights = generator.dirichlet([concentration] * vocab_size, size=vocab_size)
    ids = [0]
    for _ in range(tokens):
        ids.append(int(generator.choice(vocab_size, p=weights[ids[-1]])))
    return [*ids, 0]


def random_contexts(model: NgramModel, seed: int, number: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    lengths = generator.integers(0, model.order + 3, size=number)
    return [generator.integers(0, model.vocab_size, size=length) for length in lengths]


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("vocab_size", "tokens", "concentration"),
    [(2, 40, 1.0), (4, 300, 0.3), (12, 400, 0.2), (60, 900, 0.1), (200, 500, 1.0)],
)
def test_probabilities_are_those_of_the_formulas(
    vocab_size: int, tokens: int, concentration: float, order: int
) -> None:
    ids = random_stream(vocab_size, vocab_size, tokens, concentration)
    held_out = random_stream(vocab_size + 1, vocab_size, 150, concentration)
    model = train_ngrams(np.array(ids, dtype=np.uint8), vocab_size, order)
    brute = BruteForce(ids, vocab_size, order)
    for level in range(order):
        assert model.levels[level].discounts == pytest.approx(brute.discounts[level + 1], abs=1e-12)
    for text in (ids, held_out):
        expected = [
            -math.log(brute.probability(text[at], tuple(text[:at]))) for at in range(1, len(text))
        ]
        assert model.nll(np.array(text, dtype=np.uint8)) == pytest.approx(expected, abs=1e-9)
    for context in random_contexts(model, 5, 40):
        wanted = [brute.probability(x, tuple(context.tolist())) for x in range(vocab_size)]
        assert distribution(model, context) == pytest.approx(wanted, abs=1e-9)


def test_the_brute_force_meets_estimated_discounts_and_fallbacks() -> None:
    """Else the comparison above would leave one of them out."""
    model = train_ngrams(np.array(random_stream(60, 60, 900, 0.1)), 60, 3)
    kinds = {tuple(level.discounts[1:]) == FALLBACK for level in model.levels}
    assert kinds == {True, False}


def test_a_bigram_worked_by_hand() -> None:
    """a b a b b: bigrams [a] 1, a b 2, b a 1, b b 1, b [] 1; after how many different tokens:
    a 2, b 2, [] 1.  All discounts fall back on 1/2, 1, 3/2.
    """
    model = train_ngrams(np.array([0, 1, 2, 1, 2, 2, 0]), vocab_size=3, order=2)
    end = (1 - 0.5) / 5 + (0.5 + 1 + 1) / 5 / 3
    a = b = (2 - 1) / 5 + (0.5 + 1 + 1) / 5 / 3
    assert distribution(model, []) == pytest.approx([end, a, b])
    after_a = [end / 2, a / 2, (2 - 1) / 2 + b / 2]
    assert distribution(model, [0, 1]) == pytest.approx(after_a)
    after_b = [(1 - 0.5) / 3 + 1.5 / 3 * x for x in (end, a, b)]
    assert distribution(model, [2]) == pytest.approx(after_b)
    first = 0.5 + 0.5 * a  # the boundary was followed by "a" once
    expected = -np.log([first, after_a[2], after_b[0]])
    assert model.nll(np.array([0, 1, 2, 0])) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("order", "log10"),
    [(2, -2958.722643), (3, -2579.191288), (4, -2615.144078), (5, -2614.761708)],
)
def test_kenlm_gives_the_same_probability(order: int, log10: float) -> None:
    """What ``lmplz --discount_fallback`` and ``query`` of KenLM found, letters as words, 25 to a
    line, 400 lines to train on and 80 to score.  They print seven digits of each probability.
    """
    text = MarkovSource(order=2, alphabet=26).generate(12_000, seed=4)
    lines = np.frombuffer(text.encode(), dtype=np.uint8).reshape(-1, 25) - 95
    stream = np.append(np.pad(lines, ((0, 0), (1, 0))).ravel(), 0)
    cut = 400 * 26
    model = train_ngrams(stream[: cut + 1], 28, order)
    assert -model.nll(stream[cut:]).sum() / math.log(10) == pytest.approx(log10, rel=1e-7)


def test_discounts_are_those_of_the_paper() -> None:
    counts = np.repeat([1, 2, 3, 4, 9], [10, 5, 3, 2, 4])
    y = 10 / 20
    expected = [0, 1 - 2 * y * 5 / 10, 2 - 3 * y * 3 / 5, 3 - 4 * y * 2 / 3]
    assert discounts(counts) == pytest.approx(expected)
    assert discounts(np.array([7, 8, 9])).tolist() == [0, *FALLBACK]
    assert discounts(np.repeat([1, 2, 3], [5, 2, 9])).tolist() == [0, *FALLBACK]  # D_2 negative


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_probabilities_sum_to_one_in_a_thousand_contexts(order: int) -> None:
    model = train_ngrams(np.array(random_stream(2, 30, 3000, 0.2)), 31, order)
    unseen = 0
    for context in random_contexts(model, 9, 1000):
        p = distribution(model, context)
        assert abs(math.fsum(p) - 1) < 1e-9
        assert p.min() > 0
        unseen += bool(len(context) > 1 and not known(model, context))
    assert unseen > 100 or order < 3


@pytest.mark.parametrize("order", [1, 2, 3, 6])
def test_a_stream_scores_as_its_tokens_one_by_one(
    order: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.array(random_stream(1, 9, 2000, 0.3))
    model = train_ngrams(ids[:1500], 9, order)
    whole = model.nll(ids)
    single = [-math.log(distribution(model, ids[:at])[ids[at]]) for at in range(1, len(ids))]
    assert whole == pytest.approx(single, abs=1e-12)
    for at_once in (1, 7, 1999):
        monkeypatch.setattr(ngrams, "AT_ONCE", at_once)
        assert np.array_equal(model.nll(ids), whole)


def test_context_ends_at_the_boundary() -> None:
    model = train_ngrams(np.array(random_stream(4, 6, 900, 0.5)), 6, 4)
    for context in ([1, 2, 3, 0], [5, 0], [0, 0]):
        assert np.array_equal(distribution(model, context), distribution(model, [0]))
    assert not np.allclose(distribution(model, [0]), distribution(model, []))
    assert set(boundaries_in(model)) == {0, 3}  # nor is it counted across


def boundaries_in(model: NgramModel) -> list[int]:
    """At which places of its 4-grams a model has boundaries."""
    size, found = model.vocab_size, []
    for key in model.keys[3]:
        gram, node = [], int(key)
        for keys in (*model.keys[2:0:-1], None):
            gram.append(node % size)
            node = int(keys[node // size]) if keys is not None else node // size
        gram.append(node)
        found += [place for place, token in enumerate(gram[::-1]) if token == 0]
    return found


def test_a_model_reaches_the_entropy_rate_of_its_source() -> None:
    source = MarkovSource(order=2, alphabet=8)
    letters = np.frombuffer(source.generate(440_000, seed=3).encode(), dtype=np.uint8) - 96
    stream = np.concatenate([[0], letters[:400_000], [0]])
    held_out = np.concatenate([[0], letters[400_000:]])
    bits = train_ngrams(stream, 9, 3).nll(held_out).mean() / math.log(2)
    assert bits == pytest.approx(source.entropy_rate, rel=0.02)
    assert train_ngrams(stream, 9, 2).nll(held_out).mean() / math.log(2) > 1.1 * bits


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_tokens_never_seen_have_a_probability(order: int) -> None:
    stream = np.array([0, *[2, 3, 4, 5] * 50, 0])
    held_out = np.array([0, 1, 7, 2, 3, 7, 7, 0, 6, 5, 0, 0])
    model = train_ngrams(stream, 8, order)
    assert np.isfinite(model.nll(held_out)).all()
    assert model.nll(held_out).min() > 0


@pytest.mark.parametrize("stream", [[], [0], [0, 0], [0, 1], [0, 0, 0, 1, 0]])
def test_the_smallest_streams_make_proper_models(stream: list[int]) -> None:
    for order in (1, 2, 4):
        model = train_ngrams(np.array(stream, dtype=np.uint8), 3, order)
        for context in ([], [0], [0, 1], [2, 2, 2]):
            assert distribution(model, context).sum() == pytest.approx(1)
        assert len(model.nll(np.array(stream, dtype=np.uint8))) == max(len(stream) - 1, 0)


def test_keys_of_large_vocabularies_do_not_overflow() -> None:
    vocab_size = 200_000
    ids = np.array([0, 199_999, 150_000, 199_999, 150_000, 7, 0], dtype="<u4")
    model = train_ngrams(ids, vocab_size, 3)
    p = distribution(model, [199_999, 150_000])
    assert p.argmax() in (7, 199_999)
    assert math.fsum(p) == pytest.approx(1)


def test_bad_input_is_named() -> None:
    ids = np.array([0, 1, 2, 0])
    with pytest.raises(ConfigError, match="order of an n-gram model must be 1 or more, got 0"):
        train_ngrams(ids, 3, 0)
    with pytest.raises(TokenizerError, match="do not fit a vocabulary of 2"):
        train_ngrams(ids, 2, 2)
    model = train_ngrams(ids, 3, 2)
    with pytest.raises(TokenizerError, match="vocabulary of 3"):
        model.nll(np.array([0, 3]))
    with pytest.raises(TokenizerError, match="vocabulary of 3"):
        distribution(model, [-1])
    with pytest.raises(CorpusError, match="no validation text"):
        choose_order(ids, np.array([0, 0]), 3, highest=2)
