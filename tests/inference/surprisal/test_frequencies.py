"""Unigram surprisals stand on counts of the training text, unit by unit."""

import math
from collections import Counter

import numpy as np
import pytest

from charlm.data.preparation.counting import Counts
from charlm.data.preparation.store import TokenStore
from charlm.inference.surprisal import frequencies
from tests.inference.fixed import fixed_run
from tests.inference.toys import KINDS, trained

DOCUMENTS = ("the cat sat", "on the cat", "the dog")
"""None ends with white space, as rows of a table do not."""


@pytest.mark.parametrize("at_once", [1 << 16, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_words_end_with_their_document_and_not_with_a_chunk(
    kind: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = trained(kind)
    ids = [np.append(0, tokenizer.encode(document)) for document in DOCUMENTS]
    store = TokenStore(np.concatenate([*ids, [0]]), Counts())
    monkeypatch.setattr(frequencies, "load_part", lambda run, part: store)
    monkeypatch.setattr(frequencies, "AT_ONCE", at_once)
    found = frequencies.count_units(fixed_run(tokenizer, {}), "word")
    assert found is not None
    assert found.counts == Counter(" ".join(DOCUMENTS).split())
    # 8 words of 5 types, one added to each and one for all others.
    assert found.surprisal("the ") == pytest.approx(-math.log(4 / 14))
    assert found.surprisal("hen") == pytest.approx(-math.log(1 / 14))


def test_what_the_vocabulary_lacks_is_one_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = trained("char")
    ids = np.concatenate([[0], tokenizer.encode("thé ¿ ¡"), [0]])
    store = TokenStore(ids, Counts())
    monkeypatch.setattr(frequencies, "load_part", lambda run, part: store)
    found = frequencies.count_units(fixed_run(tokenizer, {}), "char")
    assert found is not None
    assert found.counts == Counter(["t", "h", "é", " ", "<unk>", " ", "<unk>"])
    assert found.surprisal("§", oov=1) == pytest.approx(-math.log(3 / 13))
