"""Trainings whose text moves, changes or is damaged in the cache."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from charlm.config import Config
from charlm.data.preparation import store as store_module
from charlm.errors import CheckpointError, CorpusError
from charlm.storage.run import lock, open_run
from charlm.training import launch as launch_module
from charlm.training.launch import launch, train
from charlm.training.reports import Stepped
from tests.training.conftest import WORDS, last, notes, train_into
from tests.training.test_resume import assert_same_end, final

MakeConfig = Callable[..., Config]


def test_a_run_is_resumed_from_another_folder_and_under_another_name(
    config: MakeConfig, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {"hidden_size": 8, "batch_size": 4, "bptt": 7, "split": [80, 20], "out": "run"}
    list(train("text.txt", steps=5, **given))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    resumed = list(train(out="../run", steps=10))
    assert last(resumed).step == 10
    assert any("no file, folder or corpus called text.txt" in note for note in notes(resumed))
    text.rename(tmp_path / "below" / "renamed.txt")
    assert last(list(train("renamed.txt", steps=15, **given | {"out": "../run"}))).step == 15
    assert open_run("../run").config.data.sources == ("renamed.txt",)
    shutil.rmtree(os.environ["CHARLM_CACHE"])
    assert last(list(train(out="../run", steps=20))).step == 20  # by its newest name
    shutil.rmtree(os.environ["CHARLM_CACHE"])
    Path("renamed.txt").rename("again.txt")
    with pytest.raises(CorpusError, match="text of this run is not here") as caught:
        list(train(out="../run", steps=25))
    assert "name the text" in caught.value.hint


def test_another_text_is_refused_before_it_is_tokenized(
    config: MakeConfig, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_into(config(), tmp_path / "run")
    other = text.with_name("other.txt")
    other.write_text(WORDS * 41)
    monkeypatch.setattr("charlm.data.preparation.prepared.build", None)
    table = config().to_tables()
    table["data"]["sources"] = [str(other)]
    with pytest.raises(CorpusError, match=r"begun with another text: .*text.txt, not .*other.txt"):
        train_into(Config.from_tables(table), tmp_path / "run")


def test_a_run_that_was_replaced_before_its_lock_was_taken_is_refused(
    config: MakeConfig, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced(folder: Path) -> Any:
        """Another process makes and trains another run in the moment before the lock is taken."""
        monkeypatch.setattr(launch_module, "lock", lock)
        text.write_text(WORDS * 50)
        train_into(config(), folder)
        return lock(folder)

    monkeypatch.setattr(launch_module, "lock", replaced)
    with pytest.raises(CheckpointError, match="replaced this run meanwhile"):
        train_into(config(), tmp_path / "run")
    assert last(train_into(config(), tmp_path / "run")).finished


def test_tokens_that_were_damaged_in_the_cache_are_made_again(
    config: MakeConfig, tmp_path: Path, own_cache: Path
) -> None:
    train_into(config(), tmp_path / "whole")
    (tokens,) = own_cache.rglob("train.bin")
    damaged, written = bytearray(tokens.read_bytes()), tokens.stat()
    damaged[99] ^= 1
    tokens.write_bytes(damaged)
    os.utime(tokens, ns=(written.st_atime_ns, written.st_mtime_ns))  # by the disk itself
    train_into(config(), tmp_path / "run")
    assert_same_end(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("held", [0, 1 << 20])
def test_tokens_that_are_cut_short_in_use_cost_nothing(
    config: MakeConfig, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(store_module, "HELD", held)
    reports = launch(config(evaluations=1, accumulate=2), tmp_path / "run")
    for report in reports:
        if isinstance(report, Stepped) and report.step == 7:
            break
    (tokens,) = own_cache.rglob("train.bin")
    os.truncate(tokens, 10)
    if held:
        assert last(list(reports)).finished
        return
    with pytest.raises(CorpusError, match=r"train.bin was cut short while in use"):
        list(reports)
    assert final(tmp_path / "run").step == 7
    assert last(train_into(config(evaluations=1, accumulate=2), tmp_path / "run")).finished
