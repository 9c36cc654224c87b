"""``charlm novelty`` and ``charlm generate --max-copy``."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import book_text, call

pytest.importorskip("pydivsufsort", reason="the extra novelty is not installed")

SMALL = ("--samples", 2, "--length", 40, "--temperatures", "0.5,1")


def test_samples_stand_beside_human_text_on_the_screen_and_in_json(run: Path, book: Path) -> None:
    done = call("novelty", run, *SMALL)
    assert done.code == 0, done.err
    names = ["temperature 0.5", "temperature 1", "all", "human"]
    assert [name for name in names if f"\n{name}" in done.out] == names
    assert max(map(len, done.out.splitlines())) < 250
    record = json.loads(call("novelty", run, *SMALL, "--json").out)
    assert [group["name"] for group in record["groups"]] == names[:2]
    assert [len(group["texts"]) for group in record["groups"]] == [2, 2]
    longest = record["groups"][0]["longest"]
    assert longest["text"] in book_text()
    assert len(longest["text"]) == longest["chars"]
    assert record["human"]["chars"] > 100


def test_what_was_written_can_be_compared_and_a_copy_is_found(run: Path, book: Path) -> None:
    copied = book_text()[200:500]
    record = json.loads(call("novelty", run, "-", "--json", stdin=copied.upper()).out)
    (group,) = record["groups"]
    assert group["folded"]["longest"]["text"] == " ".join(copied.casefold().split())
    assert group["longest"]["chars"] < 100
    Path("copy.txt").write_text(f"?{copied}", encoding="utf-8")
    record = json.loads(call("novelty", run, "copy.txt", "--json").out)
    (group,) = record["groups"]
    place = group["longest"]["position"]
    assert group["longest"]["text"] == copied == book_text()[place : place + 300]


def test_white_space_that_was_copied_is_called_so(run: Path, book: Path) -> None:
    done = call("novelty", run, "-", stdin="QXZ QXZ")
    assert "1 character of white space from line" in done.out


def test_a_limited_text_copies_no_more_than_it_may(run: Path, book: Path) -> None:
    free = call("generate", run, "--seed", 1, "-n", 200, "-t", 0.3)
    limited = call("generate", run, "--seed", 1, "-n", 200, "-t", 0.3, "--max-copy", 3)
    assert (free.code, limited.code) == (0, 0)

    def longest(text: str) -> int:
        record = json.loads(call("novelty", run, "-", "--json", stdin=text).out)
        return int(record["groups"][0]["longest"]["chars"])

    assert longest(limited.out) <= 3 < longest(free.out)
    gap = ("generate", run, "--fill", "ba___ba", "--gap-length", 4, "--beam", 5)
    assert longest(call(*gap, "--max-copy", 3).out) <= 3 < longest(call(*gap).out)


def test_mistakes_end_in_two_lines(run: Path, book: Path, own_cache: Path) -> None:
    short = call("novelty", run, "-", stdin="abc")
    assert short.code == 2
    assert "less than 4 characters" in short.err[0]
    both = call("novelty", run, book, "--samples", 2)
    assert "--samples does nothing where a text is compared" in both.err[0]
    toml = (run / "run.toml").read_text()
    (run / "run.toml").write_text(toml.replace("book.txt", "gone.txt"))
    shutil.rmtree(own_cache)
    for command in (["novelty", run], ["generate", run, "--max-copy", 5]):
        gone = call(*command)
        assert gone.code == 1
        assert len(gone.err) == 2
        assert "is not in the cache, and" in gone.err[0]
        assert "gone.txt" in gone.err[0]


def test_a_run_that_was_trained_on_copies_neither_text(run: Path, book: Path) -> None:
    """Nor that of the run before the run before it; what is gone is told."""
    size = ("--steps", 3, "--batch-size", 4, "--bptt", 8)
    Path("new.txt").write_text("lo ba co\n" * 300)
    for base, name in ((run, "on"), ("on", "further")):
        done = call("train", "new.txt", "--from", base, "--out", name, *size)
        assert done.code == 0, done.err
    Path("copy.txt").write_text(book_text()[200:300])
    record = json.loads(call("novelty", "further", "copy.txt", "--json").out)
    assert record["groups"][0]["longest"]["chars"] == 100
    limited = call("generate", "further", "-n", 200, "-t", 0.3, "--seed", 1, "--max-copy", 3).out
    Path("limited.txt").write_text(limited)
    for each in (run, "further"):
        record = json.loads(call("novelty", each, "limited.txt", "--json").out)
        assert record["groups"][0]["longest"]["chars"] <= 3
    shutil.rmtree("on")
    done = call("novelty", "further", "copy.txt", "--json")
    assert f"further was begun from {run}, whose text is not here" in " ".join(done.err)
    assert len(done.err) == 1
    assert json.loads(done.out)["groups"][0]["longest"]["chars"] < 100
