"""``charlm info`` shows one run in words, several side by side."""

import json
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import SMALL, call

Trained = Callable[[str], Path]


def test_a_run_shows_its_settings_of_training_and_its_size(run: Path) -> None:
    lines = call("info", run).out.splitlines()
    found = {line[:11].rstrip(): line[12:] for line in lines}
    assert found["training"].startswith("dropout ")
    assert found["training"].endswith(", seed 1")
    assert found["disk space"].endswith("kB")


def test_a_run_shows_its_curves_from_their_first_to_their_last_value(run: Path) -> None:
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    nlls = [found["valid_nll"] for line in lines if "valid_nll" in (found := json.loads(line))]
    shown = next(line for line in call("info", run).out.splitlines() if line[:9] == "valid nll")
    first, bars, last, unit = shown.split()[2:]
    assert (first, last, unit) == (f"{nlls[0]:.3f}", f"{nlls[-1]:.3f}", "nats/token")
    assert bars.index("\u2588") == nlls.index(max(nlls))
    assert bars.index("\u2581") <= nlls.index(min(nlls))
    assert len(bars) == len(nlls)


def test_several_runs_are_shown_side_by_side(trained: Trained) -> None:
    names = [trained("char"), trained("byte")]
    head, *rows = call("info", *names).out.splitlines()
    assert head.split() == ["run", *map(str, names)]
    cells = [row.rsplit(maxsplit=2) for row in rows]
    table = {name: values for name, *values in cells}
    assert table["tokenizer.kind"] == ["char", "byte"]
    assert table["step"] == ["20", "20"]
    assert set(table) == {
        "tokenizer.kind", "parameters", "step", "valid bpc", "disk space", "loss", "valid nll"
    }  # fmt: skip
    assert all(cell[0] == "\u2588" and cell[-1] == "\u2581" for cell in table["valid nll"])


def test_texts_of_runs_are_named_as_they_were_given(run: Path, book: Path) -> None:
    first = call("train", book, "--valid", book, "--out", "new", *SMALL[:-1], "1")
    assert first.code == 0, first.err
    rows = dict(row.split(maxsplit=1) for row in call("info", run, "new").out.splitlines())
    assert rows["data.sources"].split()[-1] == str(book)


def test_several_runs_are_as_many_objects(trained: Trained) -> None:
    names = [trained("char"), trained("byte"), trained("char")]
    objects = [json.loads(line) for line in call("info", *names, "--json").out.splitlines()]
    assert [each["run"] for each in objects] == list(map(str, names))


def test_a_run_from_somebody_else_cannot_steer_the_terminal(run: Path) -> None:
    settings = run / "run.toml"
    text = settings.read_text(encoding="utf-8")
    evil = text.replace("book.txt", "\\u001b]0;title\\u0007\\u009b2J")
    assert evil != text
    settings.write_text(evil, encoding="utf-8")
    for shown in (call("info", run).out, call("info", run, run).out):
        assert not {char for char in shown if char != "\n" and not char.isprintable()}
    assert "\u241b]0;title\u2407" in call("info", run).out
