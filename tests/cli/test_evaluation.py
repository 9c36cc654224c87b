"""Evaluation-time methods on the command line: figures beside the static ones, nothing changed."""

import json
import math
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, call, failed, tree

OPEN = ("--dynamic", "--cache", "--temperature")


@pytest.fixture
def parts(own_folder: Path, book: Path) -> Path:
    """A run whose text has three parts."""
    done = call(
        "train", book, "--out", "parts", "--split", "80,10,10", "--hidden-size", 16,
        "--batch-size", 4, "--bptt", 16, "--steps", 60,
    )  # fmt: skip
    assert done.code == 0, done.err
    return own_folder / "parts"


def score(*arguments: object) -> dict[str, object]:
    done = call("perplexity", *arguments, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert isinstance(found, dict)
    return found


def test_the_static_score_stands_beside_and_is_the_static_score(run: Path, book: Path) -> None:
    static = score(run, book)
    found = score(run, book, "--dynamic", "lr=0.002,segment=20", "--temperature", "1.2")
    assert (static["mode"], found["mode"]) == ("static", "dynamic+temperature")
    assert "static" not in static
    assert isinstance(found["static"], dict)
    assert found["static"] == {key: static[key] for key in found["static"]}
    assert found["nll"] != static["nll"]
    assert found["evaluation"] == {
        "dynamic": {"lr": 0.002, "decay": 0.001, "segment": 20, "epsilon": 0.1},
        "temperature": {"value": 1.2},
        "options": "--dynamic lr=0.002,decay=0.001,segment=20,epsilon=0.1 --temperature 1.2",
        "tuned_on": [],
    }


def test_a_run_on_the_disk_stays_as_it_is(run: Path, book: Path) -> None:
    before = tree(run)
    score(run, book, *OPEN[:2])
    assert tree(run) == before


def test_values_that_were_tuned_can_be_given_and_give_the_same(parts: Path) -> None:
    tuned = score(parts, "--part", "test", *OPEN, "--tune-on", "valid")
    assert isinstance(tuned["evaluation"], dict)
    given = tuned["evaluation"]["options"].split()
    assert tuned["evaluation"]["tuned_on"] == ["valid"]
    again = score(parts, "--part", "test", *given)
    assert again["nll"] == tuned["nll"]
    assert isinstance(tuned["static"], dict)
    assert tuned["nll"] < tuned["static"]["nll"]


def test_every_trial_is_told_and_stdout_is_data(parts: Path) -> None:
    done = call("perplexity", parts, "--part", "test", "--cache", "--tune-on", "valid", "--json")
    assert done.err[0].startswith("tuning on ")
    assert all("--cache window=2000,theta=" in line for line in done.err[1:])
    assert done.err[-1].startswith("found --cache")
    assert len(done.out.splitlines()) == 1


def test_people_see_methods_static_and_gain(run: Path, book: Path) -> None:
    done = call("perplexity", run, book, "--dynamic")
    lines = done.out.splitlines()
    assert lines[-3].endswith("--dynamic lr=0.0005,decay=0.001,segment=32,epsilon=0.1")
    assert lines[-2].startswith("static ")
    assert lines[-1].startswith("gain ")
    assert done.err == []


def test_surprisals_are_those_of_the_method_and_both_sums_are_told(run: Path, book: Path) -> None:
    found = score(run, book, "--dynamic")
    done = call("score", run, book, "--by", "line", "--json", "--dynamic")
    total = sum(json.loads(line)["surprisal_bits"] for line in done.out.splitlines())
    assert isinstance(found["nll"], float)
    assert isinstance(found["static"], dict)
    static = found["static"]["nll"] / math.log(2)
    assert total == pytest.approx(found["nll"] / math.log(2), rel=1e-6)
    assert done.err == [f"in all {total:,.2f} bits; static {static:,.2f} bits"]


def test_a_score_without_methods_says_nothing_of_them(run: Path, book: Path) -> None:
    done = call("score", run, book, "--by", "line")
    assert (done.code, done.err) == (0, [])


BAD = [
    (("--dynamic", "lr=-1"), 2, "--dynamic lr must be at least 0, got -1", "change --dynamic lr"),
    (("--dynamic", "book.txt"), 2, "--dynamic takes name=value, got 'book.txt'", "SOURCE before"),
    (("--cache", "shear=0.1"), 2, "unknown setting --cache shear", "cache.share"),
    (("--temperature",), 2, "--temperature lacks its value", "--tune-on valid"),
    (("--tune-on", "valid"), 2, "--tune-on has nothing to choose", "--dynamic"),
    (("--cache", "--tune-on", "book.txt"), 1, "to score are the same", "--tune-on valid"),
    (("--cache", "--tune-on", "valid"), 1, "to score are the same", "another file"),
    (("--cache", "--tune-on", "none.txt"), 1, "no file, folder or corpus", "check the path"),
    (("--cache", "--tune-on", "empty.txt"), 1, "empty.txt is empty", "words"),
]


@pytest.mark.parametrize("command", ["perplexity", "score"])
@pytest.mark.parametrize(("options", "code", "cause", "remedy"), BAD)
def test_wrong_use_is_refused(
    parts: Path,
    book: Path,
    command: str,
    options: tuple[str, ...],
    code: int,
    cause: str,
    remedy: str,
) -> None:
    Path("empty.txt").touch()
    before = tree(Path())
    failed(call(command, parts, book, *options), code, cause, remedy)
    assert tree(Path()) == before


def test_the_scored_part_is_no_text_to_tune_on(parts: Path) -> None:
    done = call("perplexity", parts, "--part", "valid", "--cache", "--tune-on", "valid")
    failed(done, 1, "to score are the same", "another file")


def test_the_weight_of_a_mixture_is_not_tuned_on_a_file_that_is_scored(
    own_folder: Path, book: Path
) -> None:
    Path("dev.txt").write_text(book.read_text()[-2000:])
    for seed in (1, 2):
        call("train", book, "--valid", "dev.txt", "--out", f"r{seed}", "--seed", seed, *SMALL)
    mix = ("r1", "dev.txt", "--mix", "r2")
    for command in ("perplexity", "score"):
        failed(call(command, *mix), 1, "to score are the same", "give the weight")
    assert call("perplexity", *mix, "--mix-weight", 0.5).code == 0


@pytest.mark.parametrize("options", [("--dynamic",), ("--cache",), ("--temperature", "1.1")])
def test_an_n_gram_model_is_refused(own_folder: Path, book: Path, options: tuple[str, ...]) -> None:
    assert call("train", book, "--out", "ngrams", "--model", "ngram").code == 0
    done = call("perplexity", "ngrams", book, *options)
    failed(done, 1, "ngrams holds no recurrent network", "recurrent")


def test_the_network_of_a_mixture_learns_and_the_static_mixture_stands_beside(
    run: Path, book: Path
) -> None:
    assert call("train", book, "--out", "ngrams", "--model", "ngram").code == 0
    mixing = ("--mix", "ngrams", "--mix-weight", "0.5")
    plain = score(run, book, *mixing)
    found = score(run, book, *mixing, "--dynamic")
    assert isinstance(found["static"], dict)
    assert found["static"]["nll"] == plain["nll"] != found["nll"]
    assert str(found["mode"]).startswith("dynamic")


def test_regions_and_sentences_have_both_sums_too(run: Path, own_folder: Path) -> None:
    Path("items.tsv").write_text("item\tregion\ttext\n1\t1\tba co\n1\t2\tdi fu\n")
    Path("lines.txt").write_text("ba co\ndi fu\n")
    layouts = (
        ("items.tsv", "--by", "region"),
        ("lines.txt", "--format", "neural-complexity"),
    )
    for layout in layouts:
        done = call("score", run, *layout, "--temperature", "1.5")
        assert done.code == 0, done.err
        assert len(done.err) == 1
        assert done.err[0].startswith("in all ")
    tuning = ("--temperature", "--tune-on", "valid")
    refused = call("score", run, *layouts[0], *tuning)
    failed(refused, 2, "--tune-on reads text, not the table of --by region", "charlm score --help")
