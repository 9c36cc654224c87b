"""``charlm train``: where settings come from, which of them win, and which are refused."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from charlm.config import Config, merge
from charlm.training.budget.probe import Probe
from charlm.training.launch import TrainingPlan, launch, plan
from charlm.training.reports import Started
from tests.cli.conftest import call

pytestmark = pytest.mark.timeout(120)


def settings(*arguments: object) -> dict[str, dict[str, object]]:
    """The settings that a training would have."""
    done = call("train", *arguments, "--dry-run", "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)["settings"]  # type: ignore[no-any-return]


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
    assert planned.config.useful_tables() == Config.from_tables(typed).useful_tables()
    if toml is not None:
        Path("given.toml").write_text(tomli_w.dumps(toml))
        assert settings(book, "--config", "given.toml") == typed
        config = Config.from_tables(merge(toml, {"data": {"sources": [str(book)]}}))
        for record in launch(config, Path("launched")):
            if isinstance(record, Started):
                break
        written = tomllib.loads(Path("launched/run.toml").read_text())
        found = Config.from_tables({name: written[name] for name in typed})
        assert found.useful_tables() == Config.from_tables(typed).useful_tables()
