"""Figures of novelty equal those of a plain search."""

import random

import numpy as np
import pytest

from charlm.inference.novelty.overlaps import LENGTHS, measure_overlap, sum_overlaps
from tests.data.suffixes.naive import index_of, stands_in, texts_alike


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_figures_equal_those_of_a_plain_search(first: int) -> None:
    longest = []
    for seed in range(first, first + 50):
        documents, text = texts_alike(random.Random(seed))
        found = measure_overlap(index_of(*documents), text)
        spans = (
            text[start:end] for start in range(len(text)) for end in range(start, len(text) + 1)
        )
        best = max(len(span) for span in spans if stands_in(span, documents))
        assert len(found.longest) == best
        assert stands_in(found.longest, documents)
        assert found.longest in text
        for place, n in enumerate(LENGTHS):
            grams = [text[start : start + n] for start in range(len(text) - n + 1)]
            new = sum(not stands_in(gram, documents) for gram in grams)
            assert (found.new[place], found.total[place]) == (new, len(grams)), (seed, n)
        longest.append(best)
    assert max(longest) > 64  # longer than what is compared from each position on


def test_a_copy_of_the_whole_text_is_found_at_once() -> None:
    text = "".join(random.Random(1).choices("abcd ", k=3000))
    index = index_of(text)
    assert measure_overlap(index, text).longest == text
    parts = text[2000:] + text[:1999] + "Z" + text[1500:]
    assert measure_overlap(index, parts).longest == text[:1999]


def test_texts_as_one_add_counts_and_keep_the_longest_span() -> None:
    index = index_of("the cat sat on the mat")
    one, two = (measure_overlap(index, text) for text in ("the cat", "a mat sat on it"))
    both = sum_overlaps([one, two])
    assert (both.longest, both.chars) == ("at sat on ", 22)
    assert np.array_equal(both.new, one.new + two.new)
    assert both.share(4) == (both.new[0] / both.total[0])
    assert np.isnan(both.share(50))
