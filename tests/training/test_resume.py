"""Stopped anywhere and taken up again, training ends in the same bits."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from charlm.config import Config
from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.errors import CheckpointError, ConfigError, CorpusError
from charlm.storage.checkpoints import Checkpoint, list_checkpoints, read_checkpoint
from charlm.storage.run import lock, open_run
from charlm.training.counters import Counters
from charlm.training.launch import launch
from charlm.training.reports import Done, Evaluated, Note, Started, Stepped
from tests.training.conftest import StopAt, last, train_into

TIMES = {"seconds", "tokens_per_second", "time"}


def final(folder: Path) -> Checkpoint:
    found, _ = open_run(folder).newest()
    assert found is not None
    return found


def log_without_times(folder: Path) -> list[dict[str, object]]:
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMES} for line in lines]


def assert_same_end(one: Path, two: Path) -> None:
    first, second = final(one), final(two)
    assert first.step == second.step
    for tensors, others in ((first.model, second.model), (first.train, second.train)):
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensors[name], others[name]) for name in tensors)
    times = {"seconds", "log_bytes"}
    for key in first.state["counters"].keys() - times:
        assert first.state["counters"][key] == second.state["counters"][key], key
    assert log_without_times(one) == log_without_times(two)


VARIANTS = {
    "adamw": {},
    "sgd with momentum, plateau": {
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "momentum": 0.9,
        "schedule": "plateau",
    },
    "accumulated": {"accumulate": 3},
    "epochs": {"epochs": 0.5},
    "exponential moving average": {"average": "ema"},
    "averaged since validation stalled": {
        "average": "asgd",
        "nonmono": 1,
        "evaluations": 10,
        "optimizer": "sgd",
        "learning_rate": 20.0,
        "schedule": "constant",
    },
}


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_stopped_and_resumed_training_ends_in_the_same_bits(
    config, tmp_path: Path, variant: str
) -> None:
    settings: Config = config(**VARIANTS[variant])
    train_into(settings, tmp_path / "whole")
    for asks in (1, 12, 9, 5):
        reports = train_into(settings, tmp_path / "parts", stop=StopAt(asks))
        assert not any(isinstance(report, Done) and report.finished for report in reports)
    reports = train_into(settings, tmp_path / "parts")
    assert any(isinstance(report, Started) and report.resumed for report in reports)
    assert last(reports).finished
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("asks", [34, 36, 37, 38, 39, 40, 41])
def test_stopped_in_the_last_validation_it_ends_in_the_same_bits(
    config, tmp_path: Path, asks: int
) -> None:
    train_into(config(), tmp_path / "whole")
    train_into(config(), tmp_path / "parts", stop=StopAt(asks))
    train_into(config(), tmp_path / "parts")
    assert_same_end(tmp_path / "whole", tmp_path / "parts")


def test_a_damaged_newest_checkpoint_costs_only_the_steps_since_the_one_before(
    config, tmp_path: Path
) -> None:
    train_into(config(), tmp_path / "whole")
    train_into(config(), tmp_path / "damaged", stop=StopAt(34))
    newest = list_checkpoints(tmp_path / "damaged" / "checkpoints")[-1]
    (newest / "train.safetensors").write_bytes(b"")
    reports = train_into(config(), tmp_path / "damaged")
    notes = [report.text for report in reports if isinstance(report, Note)]
    assert any(newest.name in note for note in notes)
    assert_same_end(tmp_path / "whole", tmp_path / "damaged")


def test_training_that_is_finished_says_so_and_changes_nothing(config, tmp_path: Path) -> None:
    train_into(config(), tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    reports = train_into(config(), tmp_path / "run")
    assert last(reports).finished
    assert not [report for report in reports if isinstance(report, Stepped | Evaluated)]
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert after == before


def test_a_larger_budget_goes_on_from_there(config, tmp_path: Path) -> None:
    train_into(config(), tmp_path / "run")
    reports = train_into(config(steps=40), tmp_path / "run")
    assert [report.step for report in reports if isinstance(report, Stepped)] == list(range(31, 41))
    assert last(reports).finished
    assert open_run(tmp_path / "run").config.training.steps == 40


def test_a_larger_budget_is_validated_as_often_as_if_it_had_been_given_at_once(
    config, tmp_path: Path
) -> None:
    train_into(config(steps=6), tmp_path / "run")
    reports = train_into(config(steps=60), tmp_path / "run")
    assert [r.step for r in reports if isinstance(r, Evaluated)] == [20, 40, 60]


def test_more_epochs_at_most_take_a_run_further(config, tmp_path: Path) -> None:
    short = train_into(config(minutes=10, most_epochs=1), tmp_path / "run")
    longer = train_into(config(minutes=10, most_epochs=2), tmp_path / "run")
    assert last(longer).step == 2 * last(short).step
    assert last(longer).reason == "epochs"


def test_other_settings_are_refused_naming_both_values(config, tmp_path: Path) -> None:
    train_into(config(), tmp_path / "run")
    with pytest.raises(ConfigError, match=r"`training.bptt=7`, not 9"):
        train_into(config(bptt=9), tmp_path / "run")


def test_a_text_that_changed_is_refused(config, text: Path, tmp_path: Path) -> None:
    train_into(config(), tmp_path / "run")
    text.write_text(text.read_text() + "more")
    with pytest.raises(CorpusError, match="changed since"):
        train_into(config(), tmp_path / "run")


def test_a_folder_with_other_things_is_refused_untouched(config, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious.txt").write_text("x")
    with pytest.raises(CheckpointError, match="not a run"):
        train_into(config(), tmp_path / "mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["precious.txt"]


def test_a_run_that_has_learned_nothing_is_replaced(config, text: Path, tmp_path: Path) -> None:
    for settings in (config(), config(bptt=9)):
        reports = launch(settings, tmp_path / "run")
        while not isinstance(next(reports), Started):
            pass
        reports.close()
    assert open_run(tmp_path / "run").config.training.bptt == 9
    text.write_text(text.read_text() + "more")
    assert last(train_into(config(), tmp_path / "run")).finished


def test_a_run_with_somebody_elses_file_is_never_replaced(config, tmp_path: Path) -> None:
    train_into(config(), tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="bptt"):
        train_into(config(bptt=9), tmp_path / "run")
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


def test_a_tokenizer_that_is_not_the_runs_is_refused(config, tmp_path: Path) -> None:
    train_into(config(), tmp_path / "run")
    CharTokenizer(list("xyz")).save(tmp_path / "run" / "tokenizer")
    with pytest.raises(CheckpointError, match="tokenizer"):
        train_into(config(steps=40), tmp_path / "run")


def test_a_run_that_another_process_trains_is_refused(config, tmp_path: Path) -> None:
    train_into(config(), tmp_path / "run", stop=StopAt(9))
    with lock(tmp_path / "run"), pytest.raises(CheckpointError, match="in use"):
        train_into(config(), tmp_path / "run")


def test_a_run_that_another_process_trained_in_the_meantime_is_refused(
    config, tmp_path: Path
) -> None:
    for held, cause in ((False, "trained meanwhile"), (True, "in use")):
        folder = tmp_path / cause.replace(" ", "-")
        late = launch(config(bptt=9), folder)
        next(late)  # it has seen that there is no run yet
        train_into(config(), folder)
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with lock(folder) if held else nullcontext(), pytest.raises(CheckpointError, match=cause):
            last(list(late))
        assert before == {path: path.read_bytes() for path in before}


@pytest.mark.parametrize(
    "damage",
    [
        {},
        {"step": "x"},
        {"step": 99},
        {"best_nll": "low"},
        {"tokens": 1.5},
        {"log_bytes": -1},
        None,
    ],
)
def test_counters_that_cannot_be_read_are_refused(damage: dict[str, object] | None) -> None:
    table = None if damage is None else Counters().to_table() | damage
    if damage in ({}, {"step": 99}):
        assert Counters.from_table(table).to_table() == table
        return
    with pytest.raises((KeyError, TypeError, ValueError)):
        Counters.from_table(table)


def test_checkpoints_hold_all_that_resuming_needs(config, tmp_path: Path) -> None:
    train_into(config(), tmp_path / "run")
    found = read_checkpoint(list_checkpoints(tmp_path / "run" / "checkpoints")[-1])
    names = set(found.train)
    assert {"state/0/0", "state/0/1", "state/1/0", "state/1/1"} <= names
    moments = {f"optimizer/{name}/{key}" for name in found.model for key in ("exp_avg", "step")}
    assert moments <= names
