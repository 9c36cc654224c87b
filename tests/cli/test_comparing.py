"""``charlm compare`` as its users meet it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.cli.conftest import Outcome, book_text, call, tree

Trained = Callable[[str], Path]
KEYS = {
    *("unit", "units", "chars", "bytes", "words", "a", "b", "a_better", "b_better", "most"),
    *("bpb_difference", "bpb_low", "bpb_high", "bpc_difference", "bpc_low", "bpc_high"),
    *("bpb_without_unknown_difference", "bpb_without_unknown_low", "bpb_without_unknown_high"),
    *("units_with_unknown", "blocks", "block_size"),
}


def compared(*arguments: object) -> dict[str, object]:
    done = call("compare", *arguments, "--json")
    assert (done.code, done.err) == (0, [])
    return json.loads(done.out)  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", ["byte", "word", "bpe"])
def test_two_runs_are_compared_in_figures_words_and_json(
    kind: str, trained: Trained, book: Path
) -> None:
    runs = (trained("char"), trained(kind))
    found = compared(*runs, book)
    assert set(found) == KEYS
    assert found["unit"] == "line"
    for side, run in zip("ab", runs, strict=True):
        alone = json.loads(call("perplexity", run, book, "--json").out)
        assert found[side]["nll"] == pytest.approx(alone["nll"], rel=1e-6)
        assert found[side]["bpb"] == pytest.approx(alone["bpb"], rel=1e-6)
    difference = found["a"]["bpb"] - found["b"]["bpb"]
    assert found["bpb_difference"] == pytest.approx(difference)
    shown = call("compare", *runs, book)
    assert f"A - B       {difference:+.4f}" in shown.out
    assert shown.err == []


def test_lines_fit_into_eighty_columns_and_hold_nothing_that_steers_a_terminal(
    run: Path, trained: Trained
) -> None:
    Path("odd.txt").write_text(book_text(600).replace("co", "c\x1b[2J\to日"))
    other = trained("bpe")
    Path("other").symlink_to(other)
    for runs in (("run", "run"), ("run", "other"), ("other", "run")):
        done = call("compare", *runs, "odd.txt", "--most", 20)
        assert done.code == 0
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.out)
        assert max(map(cell_len, done.out.splitlines())) <= 80


def test_a_run_beside_itself_shows_no_difference(run: Path, book: Path) -> None:
    done = call("compare", run, run, book)
    assert "+0.0000 to +0.0000" in done.out
    assert "no difference is shown" in done.out
    assert "better by most" not in done.out
    found = compared(run, run, book)
    assert (found["bpb_difference"], found["bpb_low"], found["bpb_high"]) == (0, 0, 0)


def test_the_part_of_both_runs_is_compared_across_tokenizers(trained: Trained) -> None:
    found = compared(trained("word"), trained("unigram"), "--part", "valid", "--most", 2)
    alone = json.loads(call("perplexity", trained("word"), "--part", "valid", "--json").out)
    assert found["a"]["nll"] == pytest.approx(alone["nll"], rel=1e-6)
    assert (found["bytes"], found["words"]) == (alone["bytes"], alone["words"])
    assert found["a"]["oov"] == alone["oov"]
    assert len(found["most"]) <= 4


def test_an_n_gram_model_is_compared_like_any_other(run: Path, book: Path) -> None:
    grams = ("train", book, "--out", "grams", "--model", "ngram")
    assert call(*grams).code == 0
    found = compared("grams", "run", "--part", "valid")
    assert found["unit"] == "token"
    assert found["bpb_high"] < 0  # the network has been trained for twenty steps
    alone = json.loads(call("perplexity", "grams", "--part", "valid", "--json").out)
    assert found["a"]["nll"] == pytest.approx(alone["nll"])


def test_unknown_characters_are_counted_and_left_out_beside(run: Path, trained: Trained) -> None:
    Path("odd.txt").write_text("ba co ŁŁ\n" + "lo di fu\n" * 300)
    shown = call("compare", run, trained("byte"), "odd.txt").out
    assert "A 2 of 2,709, B 0 of 2,711" in shown
    assert "A - B without 1 such line:" in shown
    assert compared(run, trained("byte"), "odd.txt")["units_with_unknown"] == 1


def test_a_difference_without_an_interval_says_why(run: Path, trained: Trained) -> None:
    Path("odd.txt").write_text("ba co ŁŁ\n" * 30 + "lo di fu\n")
    shown = call("compare", run, trained("byte"), "odd.txt").out
    assert "A - B without 30 such lines:" in shown
    assert "(too few for an interval)" in shown


def test_a_text_of_one_unit_has_no_interval(run: Path) -> None:
    Path("one.txt").write_text("a")
    done = call("compare", run, run, "one.txt")
    assert done.code == 0
    assert "too short to say" in done.out
    assert compared(run, run, "one.txt")["bpb_low"] is None


def failed(done: Outcome, code: int, cause: str, remedy: str) -> None:
    assert (done.code, done.out) == (code, "")
    assert len(done.err) == 2
    assert cause in done.err[0]
    assert remedy in done.err[1]


WRONG = [
    ("run run", 2, "either a SOURCE", "--help"),
    ("run run run book.txt", 2, "run is a run, not a text", "compare measures two runs"),
    ("run run book.txt --part test", 2, "either a SOURCE", "--help"),
    ("run run --part valid --encoding latin-1", 2, "nothing with --part", "--help"),
    ("run run book.txt --most -1", 2, "not in the range", "--help"),
    ("run missing book.txt", 1, "missing does not exist", "name the folder of a run"),
    ("run run missing.txt", 1, "no file, folder or corpus called", "path"),
    ("run run empty.txt", 1, "empty.txt is empty", "words"),
    ("run run --part train", 2, "'train' is not one of", "--help"),
    ("run other --part valid", 1, "are different texts", "name the text"),
]


@pytest.mark.parametrize(("command", "code", "cause", "remedy"), WRONG)
def test_what_cannot_be_compared_is_said_in_two_lines(
    command: str, code: int, cause: str, remedy: str, run: Path, book: Path
) -> None:
    Path("empty.txt").touch()
    Path("second.txt").write_text(book_text(400))
    if "other" in command:
        small = ("--steps", 1, "--hidden-size", 8, "--batch-size", 2, "--bptt", 8)
        assert call("train", "second.txt", "--out", "other", *small).code == 0
        assert call("train", book, "--out", "run2", *small).code == 0
        command = command.replace("run ", "run2 ")
    before = tree(Path())
    failed(call("compare", *command.split()), code, cause, remedy)
    assert tree(Path()) == before
