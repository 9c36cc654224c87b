"""What the index finds in documents is what a plain search finds."""

import random

import pytest

from charlm.data.suffixes.index import SuffixIndex
from tests.data.suffixes.naive import index_of, stands_in, texts_alike


@pytest.fixture(params=range(20))
def found(request: pytest.FixtureRequest) -> tuple[list[str], str, SuffixIndex]:
    documents, text = texts_alike(random.Random(request.param))
    return documents, text, index_of(*documents)


def test_prefix_lengths_are_those_of_a_plain_search(
    found: tuple[list[str], str, SuffixIndex],
) -> None:
    documents, text, index = found
    for start in range(len(text)):
        length = index.prefix_length(text[start:])
        assert stands_in(text[start : start + length], documents)
        assert start + length == len(text) or not stands_in(
            text[start : start + length + 1], documents
        )


def test_a_place_is_the_first_where_the_text_stands(
    found: tuple[list[str], str, SuffixIndex],
) -> None:
    documents, text, index = found
    span = text[: index.prefix_length(text)]
    if span:
        place = index.place_of(span)
        number = next(n for n, document in enumerate(documents) if span in document)
        position = documents[number].index(span)
        line = documents[number][:position].count("\n")
        assert (place.document, place.line, place.position) == (number + 1, line + 1, position)
        starts = [range(len(each) - len(span) + 1) for each in documents]
        assert place.times == sum(
            each.startswith(span, at)
            for each, places in zip(documents, starts, strict=True)
            for at in places
        )


def test_nothing_is_found_across_documents() -> None:
    index = index_of("the cat", "sat down")
    assert "the cat" in index
    assert "catsat" not in index
    assert "cat sat" not in index
    assert index.prefix_length("cats") == 3
    assert index.followers(*index.interval(b"a"), 1, 2) == {"t "}


def test_followers_are_whole_characters() -> None:
    index = index_of("a日é b a日x")
    assert index.followers(*index.interval(b"a"), 1, 2) == {"日é", "日x"}
    assert index.followers(*index.interval(b"a"), 1, 3) == {"日é "}
