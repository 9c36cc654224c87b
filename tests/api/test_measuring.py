"""What a model measures from Python is what the command measures."""

import json
from pathlib import Path

import pytest

import charlm
from charlm import CharlmError, Model
from charlm.errors import CharlmWarning
from tests.cli.conftest import book_text, call

SENTENCE = "ba co. Loba\ndi fu.\n"


def test_a_score_is_that_of_the_command(model: Model) -> None:
    Path("sentence.txt").write_text(SENTENCE * 30)
    found = json.loads(call("perplexity", "runs/book", "sentence.txt", "--json").out)
    for text in (SENTENCE * 30, Path("sentence.txt"), [Path("sentence.txt")]):
        score = model.score(text)
        assert (score.nll, score.tokens, score.bpc) == (found["nll"], found["tokens"], found["bpc"])
        assert list(score.perplexity_interval) == found["perplexity_interval"]
    part = json.loads(call("perplexity", "runs/book", "--part", "test", "--json").out)
    assert model.score(part="test").perplexity == part["perplexity"]
    apart = json.loads(
        call("perplexity", "runs/book", "sentence.txt", "--reset", "line", "--json").out
    )
    assert model.score(SENTENCE * 30, reset="line").nll == apart["nll"] != found["nll"]


def test_a_table_of_perplexities_is_that_of_the_command(model: Model) -> None:
    Path("sentence.txt").write_text(SENTENCE * 30)
    options = ("sentence.txt", "book.txt", "--baselines", "--json")
    shown = json.loads(call("perplexity", "runs/book", *options).out)
    table = model.perplexity([Path("sentence.txt"), Path("book.txt")], baselines=True)
    found = json.loads(json.dumps(table.record()))
    for record in (shown, found):
        assert record.pop("tokens_per_second") > 0
    assert found == shown


def test_a_text_that_is_the_name_of_a_file_is_measured_with_a_warning(model: Model) -> None:
    for text in ("book.txt", ["ba", "book.txt"]):
        with pytest.warns(CharlmWarning, match=r"Path\('book.txt'\)") as caught:
            score = model.score(text)
        assert score.chars == len("".join(text))
        assert caught[0].filename == __file__


def test_a_list_is_several_texts(model: Model) -> None:
    first, second = model.score("ba co."), model.score("di fu.")
    both = model.score(["ba co.", "di fu."])
    assert both.nll == pytest.approx(first.nll + second.nll)
    assert both.tokens == first.tokens + second.tokens
    assert model.score(text for text in ("ba co.", "di fu.")) == both
    words = model.surprisal(["ba co.", "di fu."], by="word")
    assert [(word.document, word.text) for word in words] == [
        (0, "ba "), (0, "co."), (1, "di "), (1, "fu."),
    ]  # fmt: skip
    assert sum(word.nll for word in words) == pytest.approx(both.nll, rel=1e-5)


def test_surprisals_are_those_of_the_command(model: Model) -> None:
    Path("sentence.txt").write_text(SENTENCE)
    printed = call("score", "runs/book", "sentence.txt", "--top", 2, "--json").out.splitlines()
    rows, words = [json.loads(line) for line in printed], model.surprisal(SENTENCE, top=2)
    assert [(row["text"], row["surprisal_bits"], row["guess_1"], row["p_2"]) for row in rows] == [
        (word.text, word.bits, word.guesses[0][0], word.guesses[1][1]) for word in words
    ]


def test_a_comparison_is_that_of_the_command(model: Model) -> None:
    Path("sentence.txt").write_text(SENTENCE * 30)
    other = model.adapt(temperature=1.5)
    same = charlm.compare(model, "runs/book", Path("sentence.txt"))
    assert (same.bpb.value, same.verdict) == (0, None)
    shown = json.loads(call("compare", "runs/book", "runs/book", "sentence.txt", "--json").out)
    assert json.loads(json.dumps(same.record()))["bpb_difference"] == shown["bpb_difference"]
    assert "better: not shown" in repr(same)
    short = charlm.compare(model, "runs/book", "ba")
    assert "too little text for an interval" in repr(short)
    assert "nan" not in repr(short)
    found = charlm.compare(model, other, part="test")
    assert found.scores[0].nll == model.score(part="test").nll
    assert found.scores[1].nll == pytest.approx(other.score(part="test").nll)


def test_methods_and_mixtures_make_other_models_and_leave_this_one(model: Model) -> None:
    before = model.score(SENTENCE).nll
    adapted = model.adapt(dynamic={"lr": 0.002}, cache=True)
    assert "dynamic+cache" in repr(adapted)
    assert adapted.score(SENTENCE).nll != before
    options = ("--dynamic", "lr=0.002", "--cache", "--json")
    Path("sentence.txt").write_text(SENTENCE)
    shown = json.loads(call("perplexity", "runs/book", "sentence.txt", *options).out)
    assert adapted.perplexity(SENTENCE).whole.nll == shown["nll"]
    mixed = model.mix("runs/book", 0.5)
    assert mixed.score(SENTENCE).nll == pytest.approx(before)
    assert model.score(SENTENCE).nll == before


def test_tuning_chooses_what_is_left_open(model: Model) -> None:
    tuned = model.adapt(temperature=True, tune_on="valid")
    evaluation = tuned.loaded.evaluation  # type: ignore[attr-defined]
    assert evaluation.temperature.value != 1
    refused = "the text to tune on and the text to score are the same"
    for tuned_on_valid in (tuned, model.mix("runs/book")):
        for measure in (tuned_on_valid.score, tuned_on_valid.perplexity):
            with pytest.raises(CharlmError, match=refused):
                measure(part="valid")
        with pytest.raises(CharlmError, match=refused):
            tuned_on_valid.surprisal(book_text())
        with pytest.raises(CharlmError, match=refused):
            charlm.compare(model, tuned_on_valid, part="valid")
    plain, better = model.score(part="valid"), tuned.score(part="test")
    assert plain.tokens > 0
    assert better.nll <= model.score(part="test").nll * 1.01


def test_pairs_are_tuples_or_a_file(model: Model) -> None:
    Path("pairs.tsv").write_text("ba co\tco ba\ndi fu\tfu di\n")
    given = model.pairs([("ba co", "co ba"), ("di fu", "fu di")])
    for named in ("pairs.tsv", Path("pairs.tsv")):
        assert model.pairs(named) == given
    lone = model.score("ba co")
    assert given[0].good == pytest.approx(-lone.nll)


def test_rescoring_and_compression_are_calls_too(model: Model) -> None:
    pytest.importorskip("constriction")
    Path("nbest.txt").write_text("a-1 -2.5 ba co\na-2 -2.4 co ba\n")
    lists, summary = model.rescore("nbest.txt", lm_weight=2)
    totals = [row.given + 2 * row.log_p for row in lists[0].rows]
    assert lists[0].best == totals.index(max(totals))
    assert summary.lists == 1
    content = SENTENCE.encode() * 20
    assert model.decompress(model.compress(content).content) == content
