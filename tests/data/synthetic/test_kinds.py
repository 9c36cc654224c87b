"""Made text has the entropy rate it claims, by brute force, by sampling and by counting."""

import hashlib
import itertools
import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from charlm.data.synthetic.kinds import (
    MarkovSource,
    NestedSource,
    RecallSource,
    SyntheticSource,
    synthetic_source,
    write_synthetic,
)
from charlm.data.synthetic.nested import coin_bits
from charlm.errors import ConfigError, CorpusError

SOURCES = [
    MarkovSource(),
    MarkovSource(order=1, alphabet=26, concentration=0.1, seed=3),
    MarkovSource(order=3, alphabet=3, seed=7),
    NestedSource(),
    NestedSource(kinds=2, depth=2, gap=3, letters=3),
    NestedSource(kinds=1, depth=1, gap=1),
    RecallSource(),
    RecallSource(symbols=2, shortest=3, longest=3, letters=1),
]


def strings(source: SyntheticSource, length: int) -> dict[str, float]:
    """The probability of every string of that length that the source can write."""
    found = {}
    alphabet = "abAB?" if source.name == "recall" else "abcdefgh()[]"
    for letters in itertools.product(alphabet, repeat=length):
        try:
            bits = source.surprisals("".join(letters)).sum()
        except CorpusError:
            continue
        found["".join(letters)] = 2.0**-bits
    return found


def ngram_bits(text: str, order: int) -> float:
    """Bits per character of the best model of the last ``order`` characters of this text."""
    longer = Counter(text[at : at + order + 1] for at in range(len(text) - order))
    shorter: Counter[str] = Counter()
    for gram, count in longer.items():
        shorter[gram[:-1]] += count
    bits = sum(count * math.log2(shorter[gram[:-1]] / count) for gram, count in longer.items())
    return bits / longer.total()


@pytest.mark.parametrize(
    "source",
    [
        MarkovSource(order=1, alphabet=2),
        MarkovSource(order=2, alphabet=3, seed=4),
        NestedSource(kinds=2, depth=2, gap=1, letters=2),
        RecallSource(symbols=2, longest=2, letters=2),
    ],
)
def test_the_probabilities_of_all_strings_sum_to_one(source: SyntheticSource) -> None:
    for length in (1, 2, 3, 4):
        assert math.fsum(strings(source, length).values()) == pytest.approx(1, abs=1e-12)


def test_the_entropy_rate_of_a_two_letter_chain_is_the_textbook_figure() -> None:
    source = MarkovSource(order=1, alphabet=2, seed=5)
    (_, p), (q, _) = source.counts / 1024
    entropy = [-(x * math.log2(x) + (1 - x) * math.log2(1 - x)) for x in (p, q)]
    # Cover and Thomas, Elements of Information Theory, section 4.2.
    assert source.entropy_rate == pytest.approx((q * entropy[0] + p * entropy[1]) / (p + q))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_entropy_rate_is_the_growth_of_the_entropy_of_strings(order: int) -> None:
    source = MarkovSource(order=order, alphabet=3, seed=9)
    entropy = [
        -math.fsum(p * math.log2(p) for p in strings_of_letters(source, length).values())
        for length in (order, order + 1, order + 2)
    ]
    assert entropy[1] - entropy[0] == pytest.approx(source.entropy_rate, abs=1e-9)
    assert entropy[2] - entropy[1] == pytest.approx(source.entropy_rate, abs=1e-9)


def strings_of_letters(source: SyntheticSource, length: int) -> dict[str, float]:
    texts = ("".join(letters) for letters in itertools.product("abc", repeat=length))
    return {text: 2.0 ** -source.surprisals(text).sum() for text in texts}


def test_the_rate_of_nested_brackets_is_the_sum_over_depths() -> None:
    # Depths 0, 1, 2 come up 1/4, 1/2, 1/4 of the time; inside, a coin says whether one opens.
    source = NestedSource(kinds=4, depth=2, gap=1)
    assert source.entropy_rate == pytest.approx((1 / 4 * 2 + 1 / 2 * (1 + 2 / 2) + 0) / 2)
    assert NestedSource(kinds=1, depth=1, gap=3).entropy_rate == 0
    assert NestedSource(kinds=1, depth=1, gap=1, letters=2).entropy_rate == 0.5


def test_the_rate_of_recall_counts_symbol_length_and_noise_once() -> None:
    # One of 4 symbols (2 bits), one of 3 lengths, 3 letters of 1 bit on average; the rest is known.
    source = RecallSource(symbols=4, shortest=2, longest=4, letters=2)
    assert source.entropy_rate == pytest.approx((2 + math.log2(3) + 3) / 6)
    bits = source.surprisals("Babab?BC")
    assert bits[[0, 6, 7]].tolist() == [2, 0, 2]
    assert bits[1:6].sum() == pytest.approx(math.log2(3) + 4)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_the_mean_surprisal_is_the_entropy_rate_within_the_sampling_error(
    source: SyntheticSource,
) -> None:
    bits = source.surprisals(source.generate(400_000, seed=11))
    blocks = bits.reshape(200, -1).mean(1)
    error = blocks.std(ddof=1) / math.sqrt(len(blocks))
    # The start may add a few bits to the whole.
    assert abs(blocks.mean() - source.entropy_rate) < 4 * error + 10 / len(bits)


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_text_is_the_same_for_the_same_seed_and_a_shorter_one_is_its_beginning(
    source: SyntheticSource,
) -> None:
    text = source.generate(5000, seed=1)
    assert len(text) == 5000
    assert text == source.generate(5000, seed=1)
    for chars in (1, 2, 3, 17):
        assert len(source.generate(chars, seed=1)) == chars
    if source.entropy_rate:
        assert text != source.generate(5000, seed=2)


def test_counting_finds_the_transitions_of_a_markov_source() -> None:
    source = MarkovSource(order=1, alphabet=4, seed=2)
    text = source.generate(200_000, seed=3)
    pairs = Counter(itertools.pairwise(text))
    for a, b in itertools.product(range(4), repeat=2):
        share = pairs["abcd"[a], "abcd"[b]] / sum(pairs["abcd"[a], c] for c in "abcd")
        assert share == pytest.approx(source.counts[a, b] / 1024, abs=0.01)


def short_sighted_rate(source: NestedSource) -> float:
    """Bits per character of the best model that sees the last ``gap`` characters only."""
    up = float(source.stationary @ source.opening)
    kind, filler = math.log2(source.kinds), source.gap * math.log2(source.letters)
    return (coin_bits(up) + kind + filler) / (source.gap + 1)


def test_a_long_enough_ngram_catches_a_markov_source_but_no_nested_one() -> None:
    markov = MarkovSource()
    assert ngram_bits(markov.generate(500_000, 1), 2) == pytest.approx(
        markov.entropy_rate, rel=0.01
    )
    nested = NestedSource(letters=2, gap=6)
    text = nested.generate(500_000, 1)
    for order in (1, 3, 6):
        assert ngram_bits(text, order) == pytest.approx(short_sighted_rate(nested), rel=0.01)
    assert short_sighted_rate(nested) > 1.1 * nested.entropy_rate
    assert short_sighted_rate(NestedSource()) > 1.5 * NestedSource().entropy_rate


@pytest.mark.parametrize(
    ("source", "text", "at"),
    [
        (MarkovSource(alphabet=4), "abce", 3),
        (MarkovSource(alphabet=4), "ab漢", 2),
        (NestedSource(gap=2), "(ab]", 3),
        (NestedSource(gap=2), "(abc", 3),
        (NestedSource(gap=2), "(ab)ab)", 6),
        (NestedSource(gap=1, depth=1), "(a(a", 2),
        (NestedSource(gap=1, kinds=1), "[a", 0),
        (NestedSource(gap=2), "(ba", 1),
        (RecallSource(), "Aab?B", 4),
        (RecallSource(), "aab?A", 0),
        (RecallSource(), "Aab?AE", 5),
        (RecallSource(letters=2), "Aac?A", 2),
        (RecallSource(longest=2), "Aaba", 3),
        (RecallSource(shortest=2), "Aa?A", 2),
        (RecallSource(), "A?A", 1),
    ],
)
def test_a_text_the_source_cannot_have_written_is_refused_where_it_goes_wrong(
    source: SyntheticSource, text: str, at: int
) -> None:
    with pytest.raises(CorpusError, match=f"(?m)at character {at}$"):
        source.surprisals(text)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("markov", {"order": 0}),
        ("markov", {"alphabet": 1}),
        ("markov", {"alphabet": 60, "order": 3}),
        ("markov", {"concentration": float("nan")}),
        ("markov", {"order": 2.0}),
        ("nested", {"kinds": 5}),
        ("nested", {"gap": 0}),
        ("nested", {"gap": 60, "letters": 2}),
        ("markoff", {}),
        ("nested", {"dept": 3}),
        ("recall", {"symbols": 1}),
        ("recall", {"shortest": 5, "longest": 4}),
    ],
)
def test_parameters_out_of_range_and_unknown_names_are_refused(
    kind: str, parameters: dict[str, float]
) -> None:
    with pytest.raises(ConfigError):
        synthetic_source(kind, **parameters)
    with pytest.raises(ConfigError):
        MarkovSource().generate(0, seed=1)


def test_a_made_text_lies_beside_what_is_known_of_it(tmp_path: Path) -> None:
    source = synthetic_source("markov", alphabet=5)
    facts = write_synthetic(source, tmp_path / "made.txt", 10_000, seed=4)
    text = (tmp_path / "made.txt").read_text()
    assert text == source.generate(10_000, seed=4)
    assert json.loads((tmp_path / "made.txt.json").read_text()) == facts
    assert synthetic_source(facts["source"], **facts["parameters"]) == source
    assert facts["entropy_rate_bits_per_char"] == source.entropy_rate
    assert facts["surprisal_bits_per_char"] == pytest.approx(source.surprisals(text).mean())
    assert facts["sha256"] == hashlib.sha256(text.encode()).hexdigest()


def test_what_exists_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("precious")
    with pytest.raises(CorpusError, match="exists already"):
        write_synthetic(NestedSource(), tmp_path / "a.txt", 10, seed=1)
    assert (tmp_path / "a.txt").read_text() == "precious"
    with pytest.raises(CorpusError, match="there is no folder"):
        write_synthetic(NestedSource(), tmp_path / "missing" / "a.txt", 10, seed=1)


def test_surprisals_of_an_empty_text_are_none() -> None:
    for source in SOURCES:
        assert np.array_equal(source.surprisals(""), [])
