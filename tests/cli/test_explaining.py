"""``charlm explain``: what is drawn, what is written, what is refused."""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.cells import cell_len

import charlm
from charlm.console import explanations
from charlm.console.units import show_units
from charlm.explain.activations import Explanation, TokensRead, explain_text, explain_unit
from charlm.explain.correlation import Chance
from charlm.explain.reading import read_text
from charlm.explain.search import FoundUnits, UnitMatch
from charlm.inference.scoring.uncertainty import Estimate
from charlm.inference.texts import take_corpus
from tests.cli.conftest import SMALL, book_text, call, failed

Trained = Callable[[str], Path]
TEXT = "ba co,\nmédi 日 fu\n"
LETTERS = {"input": "input_gate", "forget": "forget_gate", "hidden": "hidden"}


@pytest.mark.parametrize("kind", ["char", "byte", "bpe", "word"])
@pytest.mark.parametrize("columns", [80, 40])
def test_the_heat_map_keeps_to_its_width_and_shows_every_token(
    kind: str, columns: int, trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = call("explain", trained(kind), TEXT * 3)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    map_lines = lines[: next(at for at, line in enumerate(lines) if line.startswith("gates"))]
    assert max(map(cell_len, map_lines)) <= columns
    if kind == "char":
        texts = [line.strip() for line in map_lines if line.startswith("         ")]
        assert "".join(texts).replace(" ", "") == (TEXT * 3).replace("\n", "␊").replace(" ", "")


def test_shades_stand_for_the_values_below_their_token(trained: Trained) -> None:
    run = trained("char")
    done = call("explain", run, "bacodi", "--unit", "3", "--gate", "forget_gate")
    explanation = charlm.load(run).explain("bacodi")
    values = explanation.gates["forget_gate"][:, 0, 3]
    shown = next(line for line in done.out.splitlines() if line.startswith("forget"))
    marks = shown.removeprefix("forget").lstrip(" ") if values.min() >= 0.2 else shown[9:]
    assert [" ░▒▓█".index(mark) for mark in marks] == [min(int(v * 5), 4) for v in values]
    assert "input " not in done.out.split("gates")[0]
    for gate in ("forget", "f"):
        assert call("explain", run, "bacodi", "--unit", "3", "--gate", gate).out == done.out


def test_an_empty_line_has_no_rows_of_its_own(trained: Trained) -> None:
    done = call("explain", trained("char"), "ba\n\n \t\n\nco\n\n", "--gate", "cell")
    texts = [line.strip() for line in done.out.splitlines() if line.startswith(" " * 9)]
    assert texts == ["ba␊␊ ␉␊␊", "co␊␊"]
    rows = [line for line in done.out.split("gates")[0].splitlines() if line.startswith("cell ")]
    assert list(map(len, rows)) == [9 + len(text) for text in texts] + [len(rows[-1])]


def test_the_table_has_the_gates_that_are_asked_for(trained: Trained) -> None:
    run = trained("char")
    for asked in (("forget",), ("o", "input")):
        gates = [part for name in asked for part in ("--gate", name)]
        table = call("explain", run, "bacodi", *gates).out.split("right\n")[1]
        names = {"forget": {"forget"}, "o": {"output", "input"}}[asked[0]]
        assert {line.split()[1] for line in table.splitlines()} == names
        record = json.loads(call("explain", run, "bacodi", *gates, "--json").out)
        assert {row["gate"].removesuffix("_gate") for row in record["statistics"]} == names
    assert "table" not in call("explain", run, "bacodi", "--gate", "cell").out


def test_the_beginning_of_a_long_text_is_drawn_before_the_rest_is_read(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(explanations, "SHOWN", 700)
    loaded = charlm.load(trained("char")).loaded
    text = read_text(loaded.tokenizer, take_corpus(loaded, book_text(400)))
    assert len(text.ids) > 1400
    drawn = []

    def watched() -> Iterator[TokensRead | Explanation]:
        for record in explain_unit(loaded, text, first=700):
            drawn.append(capsys.readouterr().out)
            yield record

    explanations.show_explanation(watched())
    *_, whole = explain_text(loaded, text)
    at = next(place for place, out in enumerate(drawn) if out)
    assert 2 <= at < len(drawn) - 2
    assert drawn[at].startswith("lstm, layer 0, unit ")
    assert "surprise" in drawn[at]
    table = capsys.readouterr().out
    assert f"{whole.statistics['forget_gate'].openness.mean():5.2f}" in table


@pytest.mark.parametrize("kind", ["char", "byte", "bpe", "unigram", "word"])
def test_tokens_join_to_the_text_with_what_the_vocabulary_lacks(
    kind: str, trained: Trained
) -> None:
    loaded = charlm.load(trained(kind)).loaded
    text = "ba co médi 日\nfu ☃ 👍🏽 lo"
    with warnings.catch_warnings(action="ignore"):
        found = read_text(loaded.tokenizer, take_corpus(loaded, text))
    assert "".join(found.tokens) == text
    assert len(found.tokens) == len(found.ids)
    assert "".join(found.beginning(3).tokens) == "".join(found.tokens[:3])


def test_an_output_without_blocks_gets_plain_characters(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    from charlm.console import shades

    class Ascii:
        encoding = "ascii"

    with monkeypatch.context() as patch:
        patch.setattr(shades.sys, "stdout", Ascii())
        found = shades.shade(np.array([0.0, 0.5, 1.0]), 0, 1, shades.SHADES)
    assert found == [" ", ":", "#"]


@pytest.mark.filterwarnings("ignore:.*not in the vocabulary")
def test_json_and_npz_hold_what_python_gives(trained: Trained, own_folder: Path) -> None:
    run = trained("char")
    expected = charlm.load(run).explain(TEXT)
    record = json.loads(call("explain", run, TEXT, "--unit", "5", "--json").out)
    assert record["tokens"] == list(TEXT)
    assert record["surprisal"] == pytest.approx(expected.surprisal.tolist(), abs=1e-6)
    assert list(record["gates"]) == list(expected.gates)
    wanted = expected.gates["cell"][:, 0, 5].tolist()
    assert record["gates"]["cell"] == pytest.approx(wanted, abs=1e-6)
    assert record["initial"]["cell"] == pytest.approx(expected.initial["cell"][0, 5], abs=1e-6)
    openness = [row["openness"] for row in record["statistics"] if row["gate"] == "input_gate"]
    assert openness == pytest.approx([expected.gates["input_gate"].mean()], abs=1e-6)
    assert call("explain", run, TEXT, "--npz", "arrays.npz").code == 0
    with np.load("arrays.npz") as found:
        arrays = dict(found)
    for name, values in expected.gates.items():
        assert np.allclose(arrays[name], values, atol=1e-6)
        assert np.allclose(arrays[f"initial_{name}"], expected.initial[name], atol=1e-6)
    for wrong in ("/dev/full", "-"):
        *_, hint = call("explain", run, TEXT, "--npz", wrong).err
        assert "name a" in hint
        assert not re.search(r"\bout\b", hint)
    again = call("explain", run, TEXT, "--npz", "arrays.npz")
    failed(again, 1, "arrays.npz exists already", "replace it: --force")


def test_saturation_is_counted_over_all_units(trained: Trained) -> None:
    explanation = charlm.load(trained("char")).explain(book_text(300))
    for name, found in explanation.statistics.items():
        gate = explanation.gates[name]
        assert found.openness == pytest.approx(gate.mean(axis=0), abs=1e-5)
        assert found.left == pytest.approx((gate < 0.1).mean(axis=0), abs=1e-6)
        assert found.right == pytest.approx((gate > 0.9).mean(axis=0), abs=1e-6)


@pytest.mark.filterwarnings("ignore:.*not in the vocabulary")
def test_chosen_layers_and_units_are_parts_of_all(trained: Trained) -> None:
    model = charlm.load(trained("char"))
    whole, part = model.explain(TEXT), model.explain(TEXT, layers=[0], units=[7, 2], top=2)
    assert np.array_equal(part.gates["cell"], whole.gates["cell"][:, :, [7, 2]])
    assert part.likeliest[3] == whole.likeliest[3][:2]
    assert model.explain(TEXT, units=[]).gates["cell"].shape == (len(TEXT), 1, 0)


def test_a_text_comes_from_a_file_and_from_standard_input_too(
    trained: Trained, own_folder: Path
) -> None:
    (own_folder / "t.txt").write_text(TEXT, encoding="latin-1", errors="replace")
    (own_folder / "u.txt").write_text(TEXT, encoding="utf-8")
    run = trained("char")
    plain = call("explain", run, TEXT)
    assert call("explain", run, "u.txt").out == plain.out
    assert call("explain", run, "-", stdin=TEXT).out == plain.out
    assert "there is no file missing.txt" in "".join(call("explain", run, "missing.txt").err)
    told = "".join(call("explain", run, "t\u2603").err)
    assert "1 of 2 tokens are not in the vocabulary" in told
    assert "médi" in call("explain", run, "t.txt", "--encoding", "latin-1").out


def test_find_names_units_with_what_chance_reaches(trained: Trained, own_folder: Path) -> None:
    (own_folder / "long.txt").write_text(book_text(1200), encoding="utf-8")
    run = trained("char")
    record = json.loads(call("explain", run, "long.txt", "--find", "re:[,.]", "--json").out)
    found = charlm.load(run).find_units(own_folder / "long.txt", "re:[,.]")
    assert record["matches"][0]["unit"] == found.matches[0].unit
    assert record["matches"][0]["held_out"] == pytest.approx(found.matches[0].held_out)
    assert found.matches[0].confirmed
    assert abs(found.matches[0].held_out) > found.chance.held_out
    assert math.isfinite(found.matches[0].cost.low)
    drawn = call("explain", run, "long.txt", "--find", "re:[,.]").out
    head, *rows = drawn[drawn.index("layer unit") : drawn.index("first   ")].splitlines()
    assert rows
    assert all(len(line) <= 40 for line in (head, *rows))
    assert f"unit {found.matches[0].unit} of layer 0 follows it" in drawn.replace("\n", " ")


def test_the_verdict_names_the_first_unit_that_is_confirmed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tried = [(3, 0.9, 0.1, False), (7, 0.8, 0.5, True), (9, 0.7, 0.6, True)]
    matches = [UnitMatch(1, n, "cell", a, b, sure, Estimate(0.0)) for n, a, b, sure in tried]
    found = FoundUnits("capitals", 9000, 128, Chance(0.3, 0.3, 199), 1.0, tuple(matches))
    show_units(found, as_json=False)
    assert "unit 7 of layer 1 follows it, with a correlation of 0.50" in capsys.readouterr().out
    show_units(replace(found, matches=found.matches[:1]), as_json=False)
    assert "no unit follows the feature beyond chance" in capsys.readouterr().out


def test_memory_is_shown_beside_that_of_a_network_trained_alike(own_folder: Path) -> None:
    Path("book.txt").write_text(book_text(1500), encoding="utf-8")
    assert call("train", "book.txt", "--out", "run", *SMALL).code == 0
    asked = ("explain", "run", "book.txt", "--memory", "--reach", "12", "--against", "rnn")
    done = call(*asked, "--json")
    assert done.code == 0, done.err
    networks = json.loads(done.out)["networks"]
    assert [each["cell"] for each in networks] == ["lstm", "rnn"]
    assert charlm.load("run-rnn").step == charlm.load("run").step
    for each in networks:
        assert each["lags"][0] == 1
        assert each["lags"][-1] == 12
        assert each["gradient"][0]["value"] > each["gradient"][-1]["value"] > 0
        assert each["change"][0]["low"] <= each["change"][0]["value"] <= each["change"][0]["high"]
    again = call(*asked)
    assert "lstm below" in again.out
    assert max(map(len, again.out.split("k           tokens")[0].splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "cause", "remedy"),
    [
        (("", "--json"), "empty", "words"),
        (("ba", "--unit", 16), "--unit must be from 0 to 15, got 16", "16 units"),
        (("ba", "--npz", "x", "--units", "5-3"), "'5-3' is no number and no range", "explain"),
        (("ba", "--layer", 1), "--layer must be 0, got 1", "1 layer"),
        (("ba", "--gate", "reset_gate"), "no reset_gate", "forget_gate"),
        (("ba", "--find", "re:("), "no regular expression", "backslash"),
        (("ba", "--find", "quots"), "unknown feature", "quotes"),
        (("ba" * 3000, "--find", "capitals"), "does not change", "another feature"),
        (("ba", "--find", "re:b"), "too short", "2,560 tokens"),
        (("ba", "--memory"), "too short", "--reach"),
        (("ba" * 400, "--memory", "--against", "lstm"), "is an lstm itself", "--against rnn"),
        (("ba" * 400, "--memory", "--against", "rn"), "unknown cell --against rn", "rnn"),
        (("ba", "--encoding", "utf-8"), "--encoding utf-8 is for files", "leave"),
    ],
)
def test_mistakes_end_in_a_cause_and_a_way_out(
    arguments: tuple[str, ...], cause: str, remedy: str, trained: Trained
) -> None:
    done = call("explain", trained("char"), *arguments)
    short = ("empty" in cause, "too short" in cause, "does not change" in cause)
    failed(done, 1 if any(short) else 2, cause, remedy)  # the text's fault, or the command's
    assert not done.out


def test_options_that_do_not_go_together_are_wrong_use(trained: Trained) -> None:
    for wrong in (
        ("--find", "capitals", "--memory"),
        ("--against", "rnn"),
        ("--find", "capitals", "--unit", 1),
        ("--memory", "--npz", "x.npz"),
        ("--npz", "x.npz", "--gate", "cell"),
        ("--npz", "x.npz", "--unit", 1, "--units", "2-3"),
    ):
        assert call("explain", trained("char"), "ba", *wrong).code == 2


def test_counted_ngrams_have_no_gates(book: Path) -> None:
    assert call("train", book, "--out", "counts", "--model", "ngram").code == 0
    for asked in ((), ("--find", "capitals"), ("--memory",)):
        done = call("explain", "counts", "ba", *asked)
        failed(done, 1, "holds no recurrent network", "recurrent")
