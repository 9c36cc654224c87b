"""Surprisals of regions, and the table of neural-complexity."""

import math

import pytest
import torch

from charlm.data.formats.regions import Item, Region
from charlm.errors import CorpusError
from charlm.inference.predictors.reader import Reader
from charlm.inference.surprisal.neural_complexity import complexities
from charlm.inference.surprisal.regions import region_surprisals
from charlm.inference.surprisal.text import Surprisal, surprisals
from tests.inference.toys import (
    KINDS,
    TOYS,
    ToyModel,
    model_for,
    pieces_of,
    text_probability,
    trained,
)

torch.set_num_threads(1)


def item_of(*texts: str, context: str = "") -> Item:
    regions = [Region(f"region {text!r}", {"text": text}, text) for text in texts]
    return Item(tuple(regions), context)


@pytest.mark.parametrize("kind", list(TOYS))
def test_a_regions_surprisal_is_summed_over_all_that_may_follow_it(kind: str) -> None:
    tokenizer = TOYS[kind]
    model = ToyModel(tokenizer.vocab_size)
    item = item_of("ab a", "bb", "a", context="b")
    rows = list(region_surprisals(model, tokenizer, [item]))
    before = text_probability(tokenizer, "b ", 3)
    for row, read in zip(rows, ("b ab a ", "b ab a bb ", "b ab a bb a"), strict=True):
        together = text_probability(tokenizer, read, length=len(read))
        assert row.nll == pytest.approx(-math.log(together / before), abs=1e-6)
        before = together


def figures(rows: list[Surprisal]) -> list[float]:
    return [figure for row in rows for figure in (row.nll, row.entropy, row.reduction)]


@pytest.mark.parametrize("kind", KINDS)
def test_regions_that_are_words_have_the_surprisals_of_words(kind: str) -> None:
    tokenizer = trained(kind)
    model = model_for(tokenizer)
    words = list(
        surprisals(model, tokenizer, pieces_of(tokenizer, "the cat sat on the mat"), "word")
    )
    items = [item_of("the", "cat", "sat", "on", "the", "mat")] * 2
    found = list(region_surprisals(model, tokenizer, items))
    assert figures(found[:6]) == pytest.approx(figures(words), rel=1e-5)
    assert figures(found[6:]) == figures(found[:6])  # each item by itself
    spaced = [item_of("the ", "cat", " sat ", " on the mat")]
    found = list(region_surprisals(model, tokenizer, spaced))
    total = Reader(model).nll(tokenizer.encode("the cat sat  on the mat")).sum()
    assert sum(row.nll for row in found) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_context_is_read_and_not_scored(kind: str) -> None:
    tokenizer = trained(kind)
    model = model_for(tokenizer)
    item = item_of("sat", "on the mat", context="the cat")
    rows = list(region_surprisals(model, tokenizer, [item]))
    words = list(
        surprisals(model, tokenizer, pieces_of(tokenizer, "the cat sat on the mat"), "word")
    )
    assert [row.cells["text"] for row in rows] == ["sat", "on the mat"]
    assert rows[0].nll == pytest.approx(words[2].nll, rel=1e-5)
    assert sum(row.nll for row in rows) == pytest.approx(
        sum(word.nll for word in words[2:]), rel=1e-5
    )


def test_a_region_inside_a_token_is_refused_before_any_row() -> None:
    items = [item_of("the ", "cat"), item_of("the ", "c", "at")]
    tokenizer = trained("word")
    with pytest.raises(CorpusError, match=r"region 'at' begins inside a token .*: 'cat'"):
        next(region_surprisals(model_for(tokenizer), tokenizer, items, join=""))
    rows = region_surprisals(model_for(trained("char")), trained("char"), items, join="")
    assert [row.tokens for row in rows] == [4, 3, 4, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_neural_complexity(kind: str) -> None:
    """Its columns from their definitions: sentences apart, no reduction at the first word."""
    tokenizer = trained(kind)
    model = model_for(tokenizer)
    pieces = pieces_of(tokenizer, "the cat sat\n \nthe dog\n")
    by = "token" if kind == "word" else "word"
    rows = list(complexities(surprisals(model, tokenizer, pieces, by, reset="line")))
    assert [row["word"] for row in rows] == ["the", "cat", "sat", "the", "dog"]
    assert [(row["sentid"], row["sentpos"], row["wlen"]) for row in rows] == [
        (0, 0, 3),
        (0, 1, 3),
        (0, 2, 3),
        (1, 0, 3),
        (1, 1, 3),
    ]
    assert rows[0]["surp"] == pytest.approx(rows[3]["surp"], rel=1e-5)
    assert [rows[0]["entred"], rows[3]["entred"]] == [0, 0]
    assert rows[1]["entred"] == pytest.approx(max(0, rows[0]["entropy"] - rows[1]["entropy"]))
    total = sum(row["surp"] for row in rows[:3])
    line = "the cat sat" if kind == "word" else "the cat sat\n"
    assert total == pytest.approx(Reader(model).nll(tokenizer.encode(line)).sum(), rel=1e-5)
