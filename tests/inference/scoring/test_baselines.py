"""Baselines are what they say, in the units of the text."""

import bz2
import gzip
import lzma
import math
from itertools import islice

import numpy as np
import pytest

from charlm.config import TokenizerConfig
from charlm.data.preparation.counting import TextCounter
from charlm.data.preparation.store import TokenStore
from charlm.data.sources.pieces import Piece
from charlm.data.synthetic.kinds import MarkovSource
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError
from charlm.inference.scoring.baselines import (
    Baseline,
    compress_store,
    measure_baselines,
    measure_ppm,
)
from charlm.model.ngram.kneser_ney import train_ngrams
from charlm.model.ngram.ppm import learn_orders
from tests.data.tokenizers.trained import train

WORDS = "some words that come again and again, é日\n"
SOURCE = MarkovSource(order=2, alphabet=8)
TEXT = SOURCE.generate(60_000, seed=2)


def tokenizer_for(kind: str, text: str) -> Tokenizer:
    config = TokenizerConfig(kind=kind, vocab_size=300 if kind == "bpe" else None)
    return train(config, [Piece(text.encode() if kind == "byte" else text, True)])[0]


def store_of(tokenizer: Tokenizer, *texts: str) -> TokenStore:
    counter, boundary, ids = TextCounter(), [0], [0]
    for text in texts:
        encoded = tokenizer.encode(text)
        counter.add(Piece(text, True), tokens=len(encoded))
        ids += [*encoded.tolist(), *boundary]
    return TokenStore(np.array(ids, dtype=tokenizer.dtype), counter.counts)


def measured(kind: str, *parts: str) -> dict[str, Baseline]:
    tokenizer = tokenizer_for(kind, parts[0])
    stores = (store_of(tokenizer, part) for part in parts)
    return {baseline.name: baseline for baseline in measure_baselines(tokenizer, *stores)}


@pytest.fixture(scope="module")
def rows() -> dict[str, Baseline]:
    return measured("char", TEXT[:50_000], TEXT[50_000:55_000], TEXT[55_000:])


def test_the_chosen_ngram_is_best_and_close_to_the_entropy_rate(rows: dict[str, Baseline]) -> None:
    truth = SOURCE.surprisals(TEXT)[55_000:].mean()
    best = rows["best n-gram (order 3)"]
    assert best.bpc == min(row.bpc for row in rows.values())
    assert best.bpc == pytest.approx(truth, rel=0.02)
    assert best.bpc == best.bpb == rows["n-gram of order 3"].bpc


def test_every_baseline_is_there_and_beats_guessing(rows: dict[str, Baseline]) -> None:
    guess, *others = rows.values()
    assert guess.name == "every character equally likely"
    assert guess.bpc == guess.bpb == pytest.approx(math.log2(8 + 1))  # and the unknown one
    names = ["unigram", "n-gram of order 3", "best n-gram (order 3)", "adaptive PPM (order 3)"]
    assert [row.name for row in others] == [*names, "gzip -9", "bzip2 -9", "xz -9"]
    assert all(0 < row.bpc < guess.bpc for row in others)


def test_the_unigram_is_close_to_the_entropy_of_the_letters(rows: dict[str, Baseline]) -> None:
    shares = np.bincount(np.frombuffer(TEXT.encode(), np.uint8)) / len(TEXT)
    entropy = -sum(p * math.log2(p) for p in shares if p)
    assert rows["unigram"].bpc == pytest.approx(entropy, rel=0.01)


@pytest.mark.parametrize("kind", ["byte", "char", "word", "bpe"])
def test_bits_are_of_the_text_whatever_the_tokens(kind: str) -> None:
    rows = measured(kind, WORDS * 40, WORDS * 3, WORDS * 9)
    for row in rows.values():
        assert row.bpc * len(WORDS) == pytest.approx(row.bpb * len(WORDS.encode()))
        assert row.bpc > 0
    unit = {"byte": "byte", "char": "character", "word": "word", "bpe": "token"}[kind]
    assert next(iter(rows)) == f"every {unit} equally likely"


def test_boundaries_are_read_and_not_counted() -> None:
    tokenizer = tokenizer_for("char", WORDS)
    train, test = store_of(tokenizer, WORDS * 9), store_of(tokenizer, "some", "wordsXX", "again")
    rows = {row.name: row for row in measure_baselines(tokenizer, train, train, test)}
    of_text = test.tokens[1:] != 0
    nll = train_ngrams(train.tokens, tokenizer.vocab_size, 3).nll(test.tokens)
    chars = test.counts.chars
    assert rows["n-gram of order 3"].bpc * chars == pytest.approx(nll[of_text].sum() / math.log(2))
    both = np.concatenate([train.tokens, test.tokens[1:]])
    (order,) = (int(name[20:-1]) for name in rows if name.startswith("adaptive PPM"))
    nll = next(islice(learn_orders(both, tokenizer.vocab_size), order - 1, None))
    bits = nll[len(train.tokens) - 1 :][of_text].sum() / math.log(2)
    assert rows[f"adaptive PPM (order {order})"].bpc * chars == pytest.approx(bits)


def test_the_text_of_ppm_may_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokenizer_for("char", TEXT)
    parts = [store_of(tokenizer, part).tokens for part in (TEXT[:900], TEXT[900:1800], TEXT[1800:])]
    order, nats = measure_ppm(tokenizer, *parts)
    monkeypatch.setattr("charlm.inference.scoring.baselines.PPM_BLOCK", 1000)
    assert measure_ppm(tokenizer, *parts) == (order, pytest.approx(nats, rel=1e-12))
    monkeypatch.setattr("charlm.inference.scoring.baselines.PPM_READS", 1000)
    assert nats < measure_ppm(tokenizer, *parts)[1] < 1.2 * nats


def test_compressors_alone_count_every_byte_of_the_text() -> None:
    text = MarkovSource(order=1, alphabet=20).generate(9_000, seed=5)
    tokenizer = tokenizer_for("byte", text)
    found = dict(compress_store(tokenizer, store_of(tokenizer), store_of(tokenizer, text)))
    raw = text.encode()
    whole = {"gzip -9": gzip.compress(raw, 9), "bzip2 -9": bz2.compress(raw, 9)}
    whole["xz -9"] = lzma.compress(raw, preset=9)
    for name, compressed in whole.items():
        # After an empty window, what an empty file takes is not counted.
        assert 0 <= 8 * len(compressed) - found[name] <= 8 * 64


def test_compressors_remember_the_training_text() -> None:
    generator = np.random.default_rng(1)
    text = "".join(map(chr, generator.integers(97, 123, size=3000)))
    tokenizer = tokenizer_for("byte", text)
    alone = dict(compress_store(tokenizer, store_of(tokenizer), store_of(tokenizer, text)))
    after = dict(compress_store(tokenizer, store_of(tokenizer, text), store_of(tokenizer, text)))
    assert set(alone) == {"gzip -9", "bzip2 -9", "xz -9"}
    assert all(after[name] < 0.5 * alone[name] for name in alone)


def test_the_text_of_compressors_may_come_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = tokenizer_for("char", TEXT)
    stores = store_of(tokenizer, TEXT[:9000]), store_of(tokenizer, TEXT[9000:20_000])
    whole = list(compress_store(tokenizer, *stores))
    monkeypatch.setattr("charlm.inference.scoring.baselines.AT_ONCE", 1000)
    assert list(compress_store(tokenizer, *stores)) == whole


def test_an_empty_validation_part_is_named() -> None:
    with pytest.raises(CorpusError, match="no validation text"):
        measured("char", WORDS, "", WORDS)
