"""An n-gram run is used like any other, and mixes with one."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import KINDS, Outcome, call, failed, tree
from tests.pages import varied

Trained = Callable[[str], Path]


@pytest.fixture
def ngrams(book: Path) -> Path:
    """An n-gram run of characters, called ``ngrams``."""
    done = call("train", book, "--model", "ngram", "--out", "ngrams")
    assert done.code == 0, done.err
    return Path("ngrams")


def figures(*arguments: object) -> dict[str, float]:
    done = call("perplexity", *arguments, "--part", "test", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert isinstance(found, dict)
    return found


def test_the_main_road_is_the_same(ngrams: Path, book: Path) -> None:
    written = call("generate", ngrams, "--prompt", "ba", "--length", 60, "--seed", 1)
    assert written.code == 0
    assert written.out.startswith("ba")
    assert len(written.out) >= 60
    assert written.out == call("generate", ngrams, "-p", "ba", "-n", 60, "--seed", 1).out
    assert figures(ngrams)["perplexity"] < 12
    rows = call("score", ngrams, book, "--by", "line", "--json").out.splitlines()
    total = sum(json.loads(row)["surprisal_bits"] for row in rows)
    scored = json.loads(call("perplexity", ngrams, book, "--json").out)
    assert total == pytest.approx(scored["bpc"] * scored["chars"])


def test_what_training_says(book: Path) -> None:
    done = call("train", book, "--model", "ngram", "--out", "new")
    assert any(line.startswith("order 1 ") and "validation" in line for line in done.err)
    assert any(line.startswith("done") and "orders in" in line for line in done.err)
    again = call("train", "--out", "new")
    assert again.code == 0
    assert any(line.startswith("done") and "already counted" in line for line in again.err)
    records = [
        json.loads(line)
        for line in call("train", book, "--model", "ngram", "--out", "j", "--json").out.splitlines()
    ]
    kinds = [record["type"] for record in records]
    assert kinds[:2] == ["prepared", "started"]
    assert kinds[-2:] == ["saved", "done"]
    assert set(kinds[2:-2]) == {"evaluated"}


def test_info_and_dry_run_say_what_it_is(ngrams: Path, book: Path) -> None:
    about = call("info", ngrams).out
    assert "n-grams of up to" in about
    table = json.loads(call("info", ngrams, "--json").out)
    assert table["settings"]["model"].keys() == {"kind"}
    assert table["settings"]["training"].keys() == {"device", "seed"}
    assert re.search(r"^trained +\d orders,", about, re.MULTILINE)
    assert table["parameters"] > 0
    before = tree(Path())
    plan = call("train", book, "--model", "ngram", "--order", 3, "--out", "new", "--dry-run")
    assert 'kind = "ngram"' in plan.out
    assert "order = 3" in plan.out
    assert "hidden_size" not in plan.out + about
    assert "learning_rate" not in plan.out
    assert re.search(r"^validation .*\(order \d\)$", about, re.MULTILINE)
    assert tree(Path()) == before


@pytest.mark.parametrize("kind", ["byte", "word", "bpe", "unigram"])
def test_every_tokenizer_has_ngrams(kind: str, book: Path) -> None:
    options = ("--model", "ngram", "--tokenizer", kind, *KINDS[kind], "--out", kind)
    assert call("train", book, *options).code == 0
    assert figures(kind)["bpb"] < 4
    assert call("generate", kind, "--length", 20).code == 0


def test_a_mixture_is_no_worse_than_its_parts(ngrams: Path, run: Path, book: Path) -> None:
    alone = [figures(folder)["nll"] for folder in (ngrams, run)]
    best = figures(ngrams, "--mix", run)["nll"]
    assert best <= min(alone) * (1 + 1e-9)
    assert figures(run, "--mix", ngrams)["nll"] == pytest.approx(best, rel=1e-4)
    assert figures(ngrams, "--mix", run, "--mix-weight", 1)["nll"] == pytest.approx(alone[0])
    Path("letter.txt").write_text("co di ba. fu\n")
    for command in (("generate",), ("score", "letter.txt")):
        done = call(command[0], ngrams, *command[1:], "--mix", run)
        assert done.code == 0, done.err
        assert done.out
        (told,) = done.err[:1] if command[0] == "generate" else done.err
        assert re.match(r"mixture +[\d.]+ x ngrams, step \d+ \+ [\d.]+ x ", told)
    shown = call("perplexity", ngrams, book, "--mix", run, "--mix-weight", 0.25).out
    assert "0.25 x ngrams, step" in shown
    assert "+ 0.75 x " in shown
    assert shown.count("\nalone ") == 2


def test_each_run_of_a_mixture_is_shown_alone(ngrams: Path, run: Path) -> None:
    beside = figures(ngrams, "--mix", run)["alone"]
    for name, folder in zip(beside, (ngrams, run), strict=True):
        assert name.startswith(str(folder))
        assert beside[name]["nll"] == pytest.approx(figures(folder)["nll"])


WRONG = [
    ("--order 3", "--order 3 does nothing with --model recurrent", "ngram"),
    ("--model ngram --order 0", "--order must be at least 1", "--order"),
    ("--model ngram --order 33", "--order must be at least 1 and at most 32", "--order"),
    ("--model ngram --minutes 3", "--minutes 3 does nothing with --model ngram", "leave it out"),
    (
        "--model ngram --hidden-size 9",
        "--hidden-size 9 does nothing with --model ngram",
        "leave it out",
    ),
    ("--model ngrams", "'ngrams' is not one of", "charlm train --help"),
]


@pytest.mark.parametrize(("options", "cause", "remedy"), WRONG, ids=[row[0] for row in WRONG])
def test_settings_that_mean_nothing_are_refused(
    options: str, cause: str, remedy: str, book: Path
) -> None:
    before = tree(Path())
    failed(call("train", book, *options.split(), "--out", "new"), 2, cause, remedy)
    assert tree(Path()) == before


def test_nothing_to_choose_an_order_on_is_named(book: Path) -> None:
    before = tree(Path())
    done = call("train", book, "--test", book, "--model", "ngram", "--out", "new")
    failed(done, 1, "no validation text to choose the order", "--order 5")
    assert tree(Path()) == before


def unchanged(cause: str, remedy: str, code: int, *arguments: object) -> Outcome:
    """Run a command that has to fail and to harm nothing."""
    before = tree(Path())
    done = call(*arguments)
    failed(done, code, cause, remedy)
    assert tree(Path()) == before
    return done


def test_runs_that_do_not_mix_are_named(ngrams: Path, trained: Trained, book: Path) -> None:
    shutil.copytree(trained("byte"), "byte-run")
    unchanged(
        "the runs ngrams and byte-run have different tokenizers", "same tokenizer settings", 1,
        "perplexity", ngrams, book, "--mix", "byte-run",
    )  # fmt: skip
    unchanged("nothing", "name the folder of a run", 1, "generate", ngrams, "--mix", "nothing")
    unchanged(
        "--mix-weight does nothing without --mix", "--mix RUN2", 2,
        "score", ngrams, book, "--mix-weight", 0.5,
    )  # fmt: skip
    unchanged(
        "tuned on the valid part, which is also scored", "--mix-weight 0.5", 2,
        "perplexity", ngrams, "--part", "valid", "--mix", ngrams,
    )  # fmt: skip
    unchanged("1.5", "--help", 2, "generate", ngrams, "--mix", ngrams, "--mix-weight", 1.5)


def test_damage_is_named(ngrams: Path) -> None:
    (path,) = ngrams.glob("checkpoints/*/model.safetensors")
    path.write_bytes(path.read_bytes()[:-3])
    unchanged("is not a file of", "restore", 1, "generate", ngrams, "--step", path.parent.name[-1])
    path.unlink()
    unchanged("is damaged", "restore", 1, "generate", ngrams)


def test_what_counting_on_does_without_is_refused_in_the_words_that_were_given(
    ngrams: Path, book: Path
) -> None:
    done = call("train", book, "--from", ngrams, "--steps", 9, "--out", "new")
    failed(
        done, 2, f"--steps 9 does nothing with --model ngram, which {ngrams} has", "leave --from"
    )


def test_another_kind_does_not_go_on_with_a_run(ngrams: Path, run: Path, book: Path) -> None:
    done = call("train", book, "--out", ngrams)
    failed(done, 2, "was begun with --model ngram, not recurrent", "another --out")


def test_every_block_of_the_document_runs(book: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "ngrams.md").read_text(encoding="utf-8")
    book.write_text(varied(1, 3000))
    for kind, body in re.findall(r"^```(\w+)\n(.*?)^```", document, re.MULTILINE | re.DOTALL):
        if kind == "python":
            exec(compile(body, "ngrams.md", "exec"), {})
            continue
        for line in body.splitlines():
            command = line.removeprefix("$ charlm ").replace("--minutes 1", "--minutes 0.02")
            done = call(*shlex.split(command))
            assert done.code == 0, done.err
