"""N-gram runs are trained on: counts add."""

from pathlib import Path

import numpy as np
import pytest

from charlm.inference.loading import load_part, load_run
from charlm.model.ngram.counts import count_grams
from charlm.model.ngram.kneser_ney import model_of, train_ngrams
from charlm.model.ngram.merging import merged_counts
from charlm.training.launch import train
from tests.training.conftest import last
from tests.training.transfer.test_training_on import NEW


@pytest.mark.parametrize("order", [1, 2, 4])
def test_counts_of_n_grams_add_to_those_of_one_text(order: int) -> None:
    random = np.random.default_rng(order)
    one = np.concatenate([[0], random.integers(1, 5, 200), [0], random.integers(1, 5, 50), [0]])
    two = np.concatenate([[0], random.integers(1, 9, 150), [0]])
    counts = merged_counts(train_ngrams(one, 5, order), count_grams(two, 9, order))
    both = train_ngrams(np.concatenate([one, two[1:]]), 9, order)
    found = model_of(counts)
    for ours, theirs in zip(found.keys, both.keys, strict=True):
        assert np.array_equal(ours, theirs)
    assert np.array_equal(found.nll(two), both.nll(two))


def test_a_run_of_n_grams_is_trained_on(text: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.txt"
    new.write_bytes(NEW.encode() * 60)
    list(train(text, tmp_path / "base", model="ngram"))
    scores = last(list(train(new, tmp_path / "on", base=tmp_path / "base"))).base
    assert scores is not None
    assert scores.new_after < scores.new_before
    one, two = (load_run(tmp_path / name) for name in ("base", "on"))
    both = np.concatenate([load_part(one, "train").tokens, load_part(two, "train").tokens[1:]])
    whole = train_ngrams(both, two.tokenizer.vocab_size, one.step)
    ids = load_part(two, "valid").tokens
    assert np.array_equal(two.model.ngrams.nll(ids), whole.nll(ids))
