"""``charlm perplexity``: one text, a table of several, other tools' figures, baselines, a curve."""

import json
import math
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.console.scores import short
from tests.cli.conftest import SMALL, book_text, call, failed, tree

Trained = Callable[[str], Path]
PAGE = (Path(__file__).parents[2] / "docs" / "perplexity.md").read_text(encoding="utf-8")


SEVERAL = re.compile(
    r"(?<![\d.,])(?<!- )1 (more |rare )?(token|symbol|character|word|byte|line|block|pair|list|"
    r"step|row|prediction|unit)s\b"
)
"""One of a thing, counted as several."""


@pytest.fixture(autouse=True)
def texts(run: Path) -> None:
    """Texts in the working folder."""
    Path("a.txt").write_text(book_text(300), encoding="utf-8")
    Path("b.txt").write_text("ba co di\n\nlo ŁŁ\n" * 40, encoding="utf-8")
    Path("one.txt").write_text("b")
    Path("folder").mkdir()
    Path("folder/1.txt").write_text("ba co\nlo", encoding="utf-8")
    Path("folder/2.txt").write_text("di fu\n", encoding="utf-8")
    rows = [json.dumps({"text": text}) for text in ("ba co\nlo", "di", "fu ga\n")]
    Path("rows.jsonl").write_text("\n".join(rows))


def found(*arguments: object) -> dict[str, Any]:
    done = call("perplexity", "run", *arguments, "--json")
    assert done.code == 0, done.err
    record = json.loads(done.out)
    assert isinstance(record, dict)
    return record


def test_several_texts_are_what_each_is_by_itself() -> None:
    both = found("a.txt", "folder")
    for row, name in zip(both["sources"], ("a.txt", "folder"), strict=True):
        alone = found(name)
        assert row["source"] == name
        for key in (
            "nll",
            "tokens",
            "chars",
            "bytes",
            "words",
            "perplexity",
            "bpc",
            "boundary_nll",
        ):
            assert row[key] == alone[key]


def test_micro_weighs_by_tokens_and_macro_does_not() -> None:
    both = found("a.txt", "b.txt")
    first, second = both["sources"]
    nll, tokens = first["nll"] + second["nll"], first["tokens"] + second["tokens"]
    assert both["micro"]["perplexity"] == pytest.approx(math.exp(nll / tokens))
    assert both["macro"]["bpc"] == pytest.approx((first["bpc"] + second["bpc"]) / 2)
    assert both["macro"]["perplexity"] == pytest.approx(
        (first["perplexity"] + second["perplexity"]) / 2
    )
    assert {key: both[key] for key in both["micro"]} == both["micro"]
    assert set(found("a.txt")) == set(both) - {"sources", "micro", "macro"}


def test_the_table_of_several_texts() -> None:
    done = call("perplexity", "run", "a.txt", "b.txt", "one.txt")
    lines = done.out.splitlines()
    record = found("a.txt", "b.txt", "one.txt")
    assert lines[1].split() == [
        *("chars", "tokens", "perplexity", "±", "s.e.", "bpc", "bpb", "source")
    ]
    assert lines[2].split() == [
        *(f"{record['sources'][0][key]:,}" for key in ("chars", "tokens")),
        f"{record['sources'][0]['perplexity']:.3f}",
        "±",
        f"{record['sources'][0]['perplexity_se']:.3f}",
        *(f"{record['sources'][0][key]:.4f}" for key in ("bpc", "bpb")),
        "a.txt",
    ]
    assert [line.split("  ")[-1] for line in lines[4:7]] == [
        "one.txt", "all together (micro)", "mean (macro)",
    ]  # fmt: skip
    assert lines[7].startswith("unknown     80 of 640 tokens of b.txt were never seen")
    assert all(len(line) <= 80 for line in lines[:7])


@pytest.mark.parametrize("value", [1.0, 99_999.9994, 2_941_176.179, 1e99])
def test_perplexities_of_any_size_are_short_in_a_table(value: float) -> None:
    assert len(short(value)) <= 10
    assert float(short(value).replace(",", "")) == pytest.approx(value, rel=1e-3)


@pytest.mark.parametrize(
    ("reset", "streams"), [("never", 1), ("file", 2), ("document", 2), ("line", 3)]
)
def test_the_state_starts_anew_as_often_as_asked(reset: str, streams: int) -> None:
    record = found("folder", "--reset", reset)
    assert (record["reset"], record["tokens"]) == (reset, 14)
    boundaries = {"never": 2, "file": 2}.get(reset, streams)
    assert record["boundaries"] == boundaries
    assert found("folder")["nll"] == pytest.approx(record["nll"]) or streams > 1


def test_rows_of_a_table_are_documents_of_one_file() -> None:
    assert found("rows.jsonl", "--reset", "document")["boundaries"] == 3
    assert found("rows.jsonl", "--reset", "line")["boundaries"] == 4
    one = found("rows.jsonl", "--reset", "file")
    assert one["nll"] == found("rows.jsonl")["nll"] != found("rows.jsonl", "--reset", "line")["nll"]


@pytest.mark.parametrize("reset", ["never", "document", "line"])
def test_a_part_of_the_run_scores_as_its_text(trained: Trained, reset: str) -> None:
    text = (trained("char").parent / "book.txt").read_text(encoding="utf-8")
    record = found("--part", "valid", "--reset", reset)
    at = len(text) - record["chars"]
    tail = [text[begin : begin + record["chars"]] for begin in range(at + 1)]
    Path("valid.txt").write_text(next(t for t in tail if same(t, record)), encoding="utf-8")
    again = found("valid.txt", "--reset", reset)
    assert record["nll"] == pytest.approx(again["nll"], rel=1e-6)
    assert (record["tokens"], record["boundaries"]) == (again["tokens"], again["boundaries"])


def same(text: str, record: dict[str, Any]) -> bool:
    counts = (len(text.encode()), len(text.split()))
    return counts == (record["bytes"], record["words"]) and text.endswith("\n")


@pytest.mark.parametrize("kind", ["byte", "word", "bpe"])
@pytest.mark.parametrize("convention", ["charlm", "lm-eval", "kenlm", "nanogpt"])
def test_every_tokenizer_has_the_figures_of_every_tool(
    trained: Trained, kind: str, convention: str
) -> None:
    shutil.copytree(trained(kind), "other")
    done = call("perplexity", "other", "a.txt", "--convention", convention, "--json")
    record = json.loads(done.out)
    assert record["perplexity"] > 1
    assert record["convention"] == convention
    low, high = record["perplexity_interval"]
    if convention == "lm-eval":
        assert low is None  # one document
    else:
        assert low < record["perplexity"] < high


KENLM = ["Perplexity including OOVs", "Perplexity excluding OOVs", "OOVs", "Tokens"]


def test_kenlms_figures_have_kenlms_names() -> None:
    lines = call("perplexity", "run", "b.txt", "--convention", "kenlm").out.splitlines()
    assert [line[: len(name)] for line, name in zip(lines[3:7], KENLM, strict=True)] == KENLM
    record = found("b.txt", "--convention", "kenlm")
    assert lines[5].split() == ["OOVs", str(record["oovs"])]
    assert record["tokens"] == 40 * (len("ba co di") + len("lo ŁŁ") + 3)
    several = call("perplexity", "run", "a.txt", "b.txt", "--convention", "kenlm").out
    assert several.splitlines()[2].split()[-3:] == ["OOVs", "Tokens", "source"]


def test_the_curve_counts_from_every_start() -> None:
    rows = found("b.txt", "--reset", "line", "--curve")["curve"]
    assert [(row["first"], row["last"], row["tokens"]) for row in rows] == [
        (1, 1, 120), (2, 2, 80), (3, 4, 160), (5, 8, 240), (9, 16, 40),
    ]  # fmt: skip
    done = call("perplexity", "run", "b.txt", "--curve")
    assert done.err[0].startswith("note        one stream has each position only once")
    assert "█" in done.out


@pytest.mark.parametrize(
    ("options", "code", "cause", "remedy"),
    [
        ("a.txt --convention kenlm --reset line", 2, "says itself where", "leave --reset out"),
        ("a.txt --window 4", 2, "--window does nothing", "nanogpt"),
        ("one.txt --convention nanogpt", 1, "has one token", "longer text"),
        ("--part valid --convention lm-eval", 1, "counts words on the text", "name the text"),
        ("--part valid --reset file", 1, "do not keep where a file ends", "--reset document"),
        ("a.txt missing.txt", 1, "no file, folder or corpus called missing.txt", "check the path"),
    ],
)
def test_what_cannot_be_scored_so(options: str, code: int, cause: str, remedy: str) -> None:
    before = tree(Path())
    done = call("perplexity", "run", *options.split())
    assert (done.code, done.out) == (code, "")
    assert cause in done.err[0]
    assert remedy in done.err[1]
    assert tree(Path()) == before


@pytest.mark.parametrize("option", ["--reset line", "--convention kenlm", "--convention lm-eval"])
def test_one_character_has_a_score_without_an_error(option: str) -> None:
    record = found("one.txt", *option.split())
    assert record["perplexity"] > 1
    assert (record["perplexity_se"], record["perplexity_interval"]) == (None, [None, None])


def test_a_file_that_is_blank_does_not_end_the_scoring_of_its_folder() -> None:
    Path("folder/0.txt").write_text("\n")
    assert found("folder", "--reset", "file")["boundaries"] == 3


def test_an_empty_file_among_several_is_named_and_left_out(run: Path) -> None:
    Path("empty.txt").touch()
    Path("blank.txt").write_text(" \n")
    done = call("perplexity", "run", "a.txt", "empty.txt", "b.txt", "blank.txt", "--json")
    assert [row["source"] for row in json.loads(done.out)["sources"]] == ["a.txt", "b.txt"]
    assert done.err == [
        "note        left out: empty.txt is empty",
        "note        left out: blank.txt holds nothing but white space",
    ]
    told = ["note        left out: empty.txt is empty"]
    assert call("score", "run", "a.txt", "empty.txt").err == told
    assert call("compare", "run", "run", "a.txt", "empty.txt").err == told
    Path("pairs.tsv").write_text("ba co\tba ba\n")
    done = call("pairs", "run", "pairs.tsv", "empty.txt")
    assert (done.code, done.err) == (0, ["note        left out: empty.txt holds no pairs"])
    Path("void.txt").touch()
    done = call("score", "run", "empty.txt", "a.txt", "void.txt")
    assert done.err == ["note        left out: empty.txt, void.txt are empty"]
    done = call("perplexity", "run", "empty.txt", "blank.txt")
    failed(done, 1, "empty.txt is empty, blank.txt holds nothing but", "words")
    failed(call("score", "run", "empty.txt", "void.txt"), 1, "empty.txt, void.txt are", "words")


@pytest.mark.parametrize("kind", ["char", "word"])
def test_a_part_of_the_run_names_what_is_unknown_as_its_text_does(kind: str, book: Path) -> None:
    test = Path("test.txt")
    test.write_text(book_text(40) + " ЖЖ xyz <unk>\nxyz", encoding="utf-8")
    done = call("train", book, "--test", test, "--out", "mine", "--tokenizer", kind, *SMALL)
    assert done.code == 0, done.err
    text, part = ((test,), ("--part", "test"))
    lines = [call("perplexity", "mine", *given).out.splitlines() for given in (text, part)]
    assert [line for line in lines[0] if line.startswith("unknown")] == [
        line for line in lines[1] if line.startswith("unknown")
    ]
    assert any("never seen in training: " in line for line in lines[1])
    records = [
        json.loads(call("perplexity", "mine", *given, "--json").out) for given in (text, part)
    ]
    assert records[0]["unknown"] == records[1]["unknown"] != {}


def test_one_of_a_thing_is_counted_as_one(run: Path) -> None:
    Path("x.txt").write_text("x")
    for command in (
        ("perplexity", run, "one.txt", "--curve"), ("perplexity", run, "x.txt"),
        ("perplexity", run, "one.txt", "x.txt"), ("compare", run, run, "one.txt"),
        ("explain", run, "b"), ("rescore", run, "one.txt"), ("train", "one.txt"),
        ("explain", run, "b", "--memory"), ("explain", run, "b", "--find", "quotes"),
    ):  # fmt: skip
        done = call(*command)
        for line in (*done.out.splitlines(), *done.err):
            assert not SEVERAL.search(line), line


def test_every_block_of_the_page_runs(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs").mkdir()
    Path("letters").mkdir()
    shutil.move("run", "runs/book")
    shutil.copy("a.txt", "letter.txt")
    shutil.copy("b.txt", "letters")
    (console,), (code,) = (
        re.findall(rf"^```{kind}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
        for kind in ("console", "python")
    )
    for line in console.splitlines():
        done = call(*shlex.split(line)[2:])
        assert done.code == 0, (line, done.err)
    exec(code, {})
    assert "bits per byte" in capsys.readouterr().out


def test_a_run_whose_text_is_gone_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("train", "a.txt", "--out", "r", *SMALL).code == 0
    Path("a.txt").unlink()
    assert call("perplexity", "r", "--part", "test").code == 0
    monkeypatch.setenv("CHARLM_CACHE", str(tmp_path / "empty"))
    done = call("perplexity", "r", "--part", "test")
    failed(done, 1, "is not in the cache, and there is no file", "run this where it was trained")
