"""``charlm train``: where settings come from, what is printed, what goes on and what does not."""

import json
import os
import shutil
import tomllib
from datetime import datetime
from pathlib import Path

import pytest
import tomli_w
import torch

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
    assert any("standard input is read again" in line for line in again.err)
    shutil.rmtree(os.environ["CHARLM_CACHE"])
    other = call("train", "--out", "run", "--steps", 35, stdin=text[:-99])
    assert "the text has changed" in other.err[-2]


def test_another_budget_for_a_run_is_said(run: Path) -> None:
    lines = call("train", "--out", run, "--steps", 30).err
    assert (
        "note        30 steps in all now, not 20; the learning rate rises again, so validation may "
        "get worse at first"
    ) in lines
    lines = call("train", "--out", run, "--epochs", 1).err
    assert any(
        line.startswith("note        1 epochs in all now, not 30 steps; the learning rate may rise")
        for line in lines
    )


def test_shares_that_do_not_add_up_are_said(book: Path) -> None:
    def said(split: str) -> list[str]:
        lines = call("train", book, "--split", split, "--dry-run", "--steps", 1).err
        return [line for line in lines if "--split" in line]

    assert said("90,5") == [
        "note        --split 90,5 adds up to 95: the parts are 94.7 %, 5.26 % of the text"
    ]
    assert said("90,5,5") == said("0.8,0.1,0.1") == []


def test_settings_of_tables_are_noted_where_the_text_is_plain(book: Path) -> None:
    lines = call("train", book, "--text-column", "foo", "--dry-run", "--steps", 1).err
    assert "note        --text-column does nothing: plain text is no table or dataset" in lines
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
