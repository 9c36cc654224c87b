"""``charlm train``: where settings come from, what is printed, what goes on and what does not."""

import json
import os
import shutil
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch

from charlm.config import Config, merge
from charlm.training.budget.probe import Probe
from charlm.training.launch import TrainingPlan, launch, plan
from charlm.training.reports import Started
from tests.cli.conftest import SMALL, Outcome, book_text, call, tree

pytestmark = pytest.mark.timeout(120)


def settings(*arguments: object) -> dict[str, dict[str, object]]:
    """The settings that a training would have."""
    done = call("train", *arguments, "--dry-run", "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)["settings"]  # type: ignore[no-any-return]


def reports(done: Outcome) -> list[dict[str, object]]:
    return [json.loads(line) for line in done.out.splitlines()]


def test_json_is_one_object_a_report_and_the_last_says_how_it_went(book: Path) -> None:
    done = call("train", book, "--out", "run", *SMALL, "--json")
    records = reports(done)
    assert (done.code, done.err) == (0, [])
    assert [records[0]["type"], records[1]["type"]] == ["prepared", "started"]
    assert {"stepped", "evaluated", "saved"} <= {record["type"] for record in records}
    last = records[-1]
    assert (last["type"], last["run"], last["step"]) == ("done", "run", 20)
    assert {"valid_nll", "seconds", "tokens_per_second", "parameters"} <= set(last)


def test_every_option_reaches_its_setting(book: Path) -> None:
    found = settings(
        book, "--epochs", 2, "--split", "80,20", "--tokenizer", "bpe", "--vocab-size", 290,
        "--hidden-size", 24, "--num-layers", 2, "--cell", "gru", "--dropout", 0.3,
        "--batch-size", 3, "--bptt", 11, "--learning-rate", 0.01, "--seed", 9, "--device", "cpu",
        "--encoding", "latin-1", "--text-column", "t", "--dataset-split", "dev",
    )  # fmt: skip
    data, tokenizer, model, training, _ = found.values()
    assert (data["split"], data["encoding"]) == ([80.0, 20.0], "latin-1")
    assert (data["text_column"], data["dataset_split"]) == ("t", "dev")
    assert (tokenizer["kind"], tokenizer["vocab_size"]) == ("bpe", 290)
    assert (model["hidden_size"], model["num_layers"], model["cell"]) == (24, 2, "gru")
    assert (model["dropout"], training["batch_size"], training["bptt"]) == (0.3, 3, 11)
    assert (training["epochs"], training["learning_rate"]) == (2.0, 0.01)
    assert (training["seed"], training["device"]) == (9, "cpu")


def test_an_option_wins_over_set_and_set_over_the_file(book: Path) -> None:
    Path("my.toml").write_text("[model]\nhidden_size = 10\nnum_layers = 3\ndropout = 0.5\n")
    found = settings(
        book, "--config", "my.toml", "--set", "model.num_layers=2", "--set",
        "model.hidden_size=20", "--hidden-size", 30,
    )["model"]  # fmt: skip
    assert (found["hidden_size"], found["num_layers"], found["dropout"]) == (30, 2, 0.5)


def test_an_option_replaces_what_it_excludes_in_the_file_and_the_recipe(book: Path) -> None:
    Path("my.toml").write_text("[training]\nminutes = 3\n[data]\nsplit = [80, 20]\n")
    Path("dev.txt").write_text("ba co. loba\n" * 30)
    for origin in (("--config", "my.toml"), ("--recipe", "tinyshakespeare-5min")):
        found = settings(book, *origin, "--steps", 4, "--valid", "dev.txt")
        assert found["training"]["steps"] == 4
        assert "minutes" not in found["training"]
        assert found["data"]["valid"] == ["dev.txt"]
        assert "split" not in found["data"]
    Path("valid.toml").write_text('[data]\nvalid = ["dev.txt"]\n')
    found = settings(book, "--config", "valid.toml", "--split", "80,20", "--steps", 4)
    assert found["data"]["split"] == [80.0, 20.0]
    assert found["data"]["valid"] == []


def test_the_settings_of_a_run_can_be_given_to_another(run: Path, book: Path) -> None:
    found = settings("--config", run / "run.toml")
    written = tomllib.loads((run / "run.toml").read_text())
    assert found == {name: written[name] for name in found}


def test_a_dry_run_writes_settings_and_size_and_makes_nothing(book: Path) -> None:
    before = tree(Path())
    done = call("train", book, "--out", "run", "--dry-run", *SMALL)
    plan = tomllib.loads(done.out)
    assert plan["run"] == "run"
    assert plan["model"]["hidden_size"] == 16
    assert plan["text"]["train"]["chars"] == int(len(book_text()) * 0.9)
    assert tree(Path()) == before


def test_a_larger_budget_takes_a_finished_run_further(run: Path) -> None:
    done = call("train", "--out", run, "--steps", 30, "--json")
    assert reports(done)[-1]["step"] == 30
    assert done.code == 0


def test_a_run_that_is_named_with_its_text_keeps_its_budget(book: Path) -> None:
    call("train", book, "--out", "run", "--steps", 20, "--hidden-size", 16)
    again = reports(call("train", book, "--out", "run", "--json"))[-1]
    assert (again["step"], again["finished"]) == (20, True)
    assert tomllib.loads(Path("run/run.toml").read_text())["training"]["steps"] == 20


def test_a_budget_that_nobody_gave_is_written_down(book: Path) -> None:
    assert settings(book)["training"]["minutes"] == 10


def test_standard_input_is_a_text(own_folder: Path) -> None:
    text = book_text()
    command = ("train", "-", "--out", "run", *SMALL, "--json")
    assert call(*command, stdin=text).code == 0
    assert reports(call(*command, stdin=text))[-1]["finished"]
    # The tokens are in the cache: standard input is not asked for again.
    scored = json.loads(call("perplexity", "run", "--part", "test", "--json").out)
    read = json.loads(call("perplexity", "run", "-", "--json", stdin=text[-500:]).out)
    assert scored["chars"] == pytest.approx(0.05 * len(text), abs=1)
    assert read["chars"] == 500


def test_parts_of_their_own_replace_a_split(book: Path) -> None:
    Path("dev.txt").write_text("ba co. loba\n" * 30)
    found = reports(call("train", book, "--valid", "dev.txt", "--out", "r", *SMALL, "--json"))[0]
    assert isinstance(found["valid"], dict)
    assert found["valid"]["chars"] == 12 * 30
    assert "test" not in found


def test_without_out_the_run_is_named_after_its_text(book: Path) -> None:
    assert call("train", book, *SMALL).code == 0
    assert Path("runs/book/run.toml").is_file()


def test_short_trainings_print_only_what_stays_true(book: Path) -> None:
    lines = call("train", book, "--out", "run", *SMALL).err
    names = [line[:11].rstrip() for line in lines]
    assert names[:4] == ["text", "tokenizer", "model", "run"]
    assert all(name.startswith("step ") for name in names[4:-6])
    assert names[-6:] == ["", "done", "validation", "saved in", "next", ""]
    assert max(map(len, lines)) < 80


def test_an_empty_folder_is_as_good_as_none(book: Path) -> None:
    Path("run").mkdir()
    assert call("train", book, "--out", "run", *SMALL).code == 0


@pytest.mark.parametrize(
    "given",
    [
        ("--tokenizer", "byte", "--encoding", "latin-1"),
        ("--tokenizer", "byte", "--vocab-size", "20"),
        ("--set", "tokenizer.end_of_line=false"),
        ("--set", "training.momentum=0.9"),
        ("--set", "training.plateau_factor=2.0"),
        ("--set", "training.optimizer=sgd", "--set", "training.beta1=0.8"),
        ("--tokenizer", "bpe", "--set", "tokenizer.min_count=2"),
    ],
)
def test_a_setting_without_effect_is_refused(given: tuple[str, ...], book: Path) -> None:
    done = call("train", book, *given, "--dry-run")
    assert done.code == 2
    assert "does nothing with" in done.err[0]
    assert "leave it out" in done.err[1]


class FixedProbe:
    """A machine that trains a hundred million weights times tokens in a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            Probe, "measure", lambda _, config: 1e11 / (8 * config.model.hidden_size**2)
        )


@pytest.mark.parametrize(
    ("options", "keywords", "toml"),
    [
        (("--minutes", 2), {"minutes": 2}, {"training": {"minutes": 2}}),
        (
            ("--minutes", 2, "--dropout", 0.1, "--set", "training.bptt=20"),
            {"minutes": 2, "dropout": 0.1, "training.bptt": 20},
            {"training": {"minutes": 2, "bptt": 20}, "model": {"dropout": 0.1}},
        ),
        (
            ("--epochs", 3, "--tokenizer", "word"),
            {"epochs": 3, "tokenizer": "word"},
            {"training": {"epochs": 3}, "tokenizer": {"kind": "word"}},
        ),
        (
            ("--recipe", "tinyshakespeare-1min", "--cell", "gru"),
            {"recipe": "tinyshakespeare-1min", "cell": "gru"},
            None,
        ),
        (("--model", "ngram"), {"model": "ngram"}, {"model": {"kind": "ngram"}}),
    ],
)
def test_python_toml_and_the_command_line_decide_the_same(
    options: tuple[object, ...],
    keywords: dict[str, Any],
    toml: dict[str, dict[str, object]] | None,
    book: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    FixedProbe(monkeypatch)
    typed = settings(book, *options)
    *_, planned = plan(book, **keywords)
    assert isinstance(planned, TrainingPlan)
    assert planned.config.to_tables() == Config.from_tables(typed).to_tables()
    if toml is not None:
        Path("given.toml").write_text(tomli_w.dumps(toml))
        assert settings(book, "--config", "given.toml") == typed
        config = Config.from_tables(merge(toml, {"data": {"sources": [str(book)]}}))
        for record in launch(config, Path("launched")):
            if isinstance(record, Started):
                break
        written = tomllib.loads(Path("launched/run.toml").read_text())
        assert {name: written[name] for name in typed} == typed


def test_a_recipe_is_planned_without_its_corpus_as_far_as_it_goes() -> None:
    done = call("train", "--recipe", "ptb-word", "--dry-run")
    assert done.code == 0
    assert any("ptb-word has not been fetched" in line for line in done.err)
    plan = tomllib.loads(done.out)
    assert plan["run"] == "runs/ptb-word-train"
    assert plan["model"]["num_layers"] == 3
    assert "text" not in plan
    assert not Path("runs").exists()
    refused = call("train", "--recipe", "ptb-word")
    assert refused.code == 1
    assert "has not been fetched" in refused.err[0]


def test_a_run_of_standard_input_is_resumed_from_the_prepared_text(own_folder: Path) -> None:
    text = book_text()
    call("train", "-", "--out", "run", *SMALL, stdin=text)
    more = call("train", "--out", "run", "--steps", 25, "--json", stdin="")
    assert more.code == 0, more.err
    assert reports(more)[-1]["step"] == 25
    shutil.rmtree(os.environ["CHARLM_CACHE"])
    again = call("train", "--out", "run", "--steps", 30, stdin=text)
    assert again.code == 0
    assert any("reading it from standard input again" in line for line in again.err)
    shutil.rmtree(os.environ["CHARLM_CACHE"])
    other = call("train", "--out", "run", "--steps", 35, stdin=text[:-99])
    assert "the text has changed" in other.err[-2]


def test_another_budget_for_a_run_is_said(run: Path) -> None:
    lines = call("train", "--out", run, "--steps", 30).err
    assert (
        "note        30 steps in all now, not 20; the learning rate rises again, so validation may "
        "get worse at first"
    ) in lines


def test_settings_of_tables_are_noted_where_the_text_is_plain(book: Path) -> None:
    lines = call("train", book, "--text-column", "foo", "--dry-run", "--steps", 1).err
    assert "note        data.text_column does nothing: plain text is no table or dataset" in lines
    Path("t.csv").write_text("foo\n" + "ba co lo\n" * 300)
    lines = call("train", "t.csv", "--text-column", "foo", "--dry-run", "--steps", 1).err
    assert not any("does nothing" in line for line in lines)


def test_a_validation_text_that_is_mostly_unknown_is_noted_with_the_share(book: Path) -> None:
    Path("odd.txt").write_text("ba co. zz yy xx ww ba\n" * 30)
    options = ("--valid", "odd.txt", "--tokenizer", "word", "--dry-run", "--steps", 1)
    assert any(
        line.startswith("note        50% of the tokens to validate on are unknown")
        for line in call("train", book, *options).err
    )


def test_how_text_is_generated_may_change_and_is_kept(run: Path, book: Path) -> None:
    def temperature() -> float:
        return float(tomllib.loads((run / "run.toml").read_text())["generation"]["temperature"])

    assert temperature() == 0.8
    changed = call("train", "--out", run, "--set", "generation.temperature=0.5")
    assert (changed.code, temperature()) == (0, 0.5)
    for given, kept in (((), 0.5), (("--set", "generation.temperature=0.8"), 0.8)):
        call("train", "--out", run, *given)
        assert temperature() == kept


def test_a_run_says_when_and_on_what_it_was_made_and_its_log_has_the_time(run: Path) -> None:
    made = tomllib.loads((run / "run.toml").read_text())["origin"]["made"]
    assert datetime.fromisoformat(made["date"]).tzinfo is not None
    assert made["torch"] == torch.__version__
    assert {"machine", "processor", "threads", "python"} <= made.keys()
    assert str(Path.home()) not in (run / "run.toml").read_text()
    times = [json.loads(line)["time"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert times == sorted(times)
    assert all(datetime.fromisoformat(time).tzinfo is not None for time in times)


def test_a_run_folder_of_an_earlier_version_is_resumed_and_used(run: Path) -> None:
    """It has no generation section, and may hold settings that do nothing."""
    path = run / "run.toml"
    tables = tomllib.loads(path.read_text())
    del tables["generation"], tables["origin"]["made"]
    tables["training"]["plateau_factor"] = 2.0
    path.write_text(tomli_w.dumps(tables))
    done = call("train", "--out", run, "--steps", 22, "--json")
    assert done.code == 0, done.err
    assert reports(done)[-1]["step"] == 22
    assert call("generate", run, "--length", 5, "--seed", 1).code == 0
