"""From a text to a model that writes and is measured, with every tokenizer, as a user types it."""

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import KINDS, SMALL, call

DESIGNED = {
    *("nll", "tokens", "chars", "bytes", "words", "oov", "perplexity", "perplexity_se"),
    *("char_perplexity", "word_perplexity", "bpc", "bpb", "tokens_per_second", "mode"),
}
MORE = {
    *("perplexity_without_oov", "boundaries", "boundary_nll", "tokenizer", "run", "step"),
    *("perplexity_interval", "byte_perplexity", "convention", "reset", "unknown"),
}
SENTENCE = "ba co. Loba\ndi fu.\n"

pytestmark = pytest.mark.parametrize("kind", list(KINDS))
Trained = Callable[[str], Path]


@pytest.fixture
def sentence() -> Path:
    path = Path("sentence.txt")
    path.write_text(SENTENCE * 20)
    return path


def figures(*arguments: object) -> dict[str, float]:
    done = call("perplexity", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)  # type: ignore[no-any-return]


def test_the_same_command_again_finds_the_run_finished(kind: str, book: Path) -> None:
    command = ("train", book, "--tokenizer", kind, *KINDS[kind], *SMALL)
    first, second = call(*command), call(*command)
    assert (first.code, second.code) == (0, 0)
    assert first.err[-4].startswith("validation ")
    assert first.err[-3:] == [
        "saved in    runs/book",
        "next        charlm generate runs/book",
        "            charlm perplexity runs/book FILE",
    ]
    assert any(line.startswith("done        20 steps in ") for line in first.err)
    assert any("already" in line for line in second.err if line.startswith("done "))
    assert call("train", "--out", "runs/book").err == second.err


def test_generation_prints_the_prompt_and_its_continuation_and_nothing_else(
    kind: str, trained: Trained
) -> None:
    command = ("generate", trained(kind), "--prompt", "ba co", "--length", 30, "--seed", 5)
    done = call(*command)
    assert (done.code, done.err) == (0, [])
    record = json.loads(call(*command, "--json").out)
    assert set(record) == {"prompt", "text", "seed", "finish", "log_prob", "tokens"}
    assert done.out == "ba co" + record["text"]
    assert len(record["text"]) <= 30


def test_perplexity_has_the_keys_that_scripts_rely_on(
    kind: str, trained: Trained, sentence: Path
) -> None:
    found = figures(trained(kind), sentence)
    assert set(found) == DESIGNED | MORE
    assert found["mode"] == "static"
    text = SENTENCE * 20
    assert (found["chars"], found["bytes"], found["words"]) == (
        len(text),
        len(text.encode()),
        len(text.split()),
    )
    nll = found["nll"]
    assert found["perplexity"] == pytest.approx(math.exp(nll / found["tokens"]))
    assert found["char_perplexity"] == pytest.approx(math.exp(nll / len(text)))
    assert found["bpb"] == pytest.approx(nll / math.log(2) / len(text.encode()))


@pytest.mark.parametrize("unit", ["token", "char", "word", "line"])
def test_the_rows_of_every_unit_sum_to_the_nll(
    kind: str, unit: str, trained: Trained, sentence: Path
) -> None:
    done = call("score", trained(kind), sentence, "--by", unit, "--unit", "nats")
    if unit == "char" and kind not in ("byte", "char"):
        assert (done.code, done.out) == (2, "")
        return
    rows = list(csv.DictReader(io.StringIO(done.out), delimiter="\t"))
    total = sum(float(row["surprisal_nats"]) for row in rows)
    found = figures(trained(kind), sentence)
    assert total == pytest.approx(found["nll"], rel=1e-5)
    assert sum(int(row["tokens"]) for row in rows) == found["tokens"]
    assert sum(int(row["oov"]) for row in rows) == found["oov"]


def test_info_says_what_a_run_holds(kind: str, trained: Trained) -> None:
    about = json.loads(call("info", trained(kind), "--json").out)
    assert (about["step"], about["finished"]) == (20, True)
    assert about["settings"]["tokenizer"]["kind"] == kind
    assert all(entry["good"] for entry in about["checkpoints"])
    shown = call("info", trained(kind))
    assert f"tokenizer   {kind}, vocabulary {about['vocab_size']:,}" in shown.out.splitlines()


@pytest.mark.parametrize("part", ["train", "valid", "test"])
def test_parts_of_the_text_of_a_run_are_scored_by_name(
    kind: str, part: str, trained: Trained
) -> None:
    counts = json.loads(call("info", trained(kind), "--json").out)["text"]
    found = figures(trained(kind), "--part", part)
    names = ("tokens", "chars", "bytes", "words")
    assert [found[name] for name in names] == [counts[part][name] for name in names]
