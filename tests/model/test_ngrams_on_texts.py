"""Known answers on real texts."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from charlm.model.ngram.contexts import distributions, row_states
from charlm.model.ngram.kneser_ney import start_states, train_ngrams
from charlm.model.ngram.orders import choose_order
from charlm.model.ngram.ppm import learn_orders

HELD_OUT = 111_540


@pytest.fixture(scope="module")
def shakespeare(shared_data: Path) -> np.ndarray:
    letters = np.frombuffer((shared_data / "tinyshakespeare.txt").read_bytes(), dtype=np.uint8)
    return np.append(0, np.unique(letters, return_inverse=True)[1] + 1)


def test_characters_of_shakespeare(shakespeare: np.ndarray) -> None:
    train, held_out = shakespeare[:-HELD_OUT], np.append(0, shakespeare[-HELD_OUT:])
    model = choose_order(train, held_out, 66, highest=12)
    assert model.order == 7
    assert model.nll(held_out).mean() == pytest.approx(1.5165, abs=5e-5)


def test_ppm_goes_on_learning_shakespeare(shakespeare: np.ndarray) -> None:
    orders = islice(learn_orders(shakespeare, 66), 7)
    found = [nll[-HELD_OUT:].mean() for nll in orders]
    assert int(np.argmin(found)) + 1 == 6
    assert min(found) == pytest.approx(1.4675, abs=5e-5)


def wikitext_lines(folder: Path, part: str, numbers: dict[str, int]) -> np.ndarray:
    """Ids of the words, every line that has some a document."""
    ids = [0]
    for line in (folder / "wikitext-2" / f"{part}.txt").read_text(encoding="utf-8").split("\n"):
        words = line.split()
        ids += [numbers.setdefault(word, len(numbers) + 1) for word in words] + [0] * bool(words)
    return np.array(ids)


def test_words_of_wikipedia_are_those_of_kenlm(shared_data: Path) -> None:
    """KenLM: 224.8116, lines as sentences, their ends counted, ``<unk>`` an ordinary word."""
    numbers: dict[str, int] = {}
    train = wikitext_lines(shared_data, "train", numbers)
    test = wikitext_lines(shared_data, "test", numbers)
    model = train_ngrams(train, len(numbers) + 1, 5)
    assert np.exp(model.nll(test).mean()) == pytest.approx(224.8116, rel=1e-5)
    some = row_states(model, test[None, :2000], start_states(model, 1))[0, ::50]
    assert np.abs(distributions(model, some).sum(axis=1) - 1).max() < 1e-9
