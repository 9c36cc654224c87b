"""Counting n-grams is a training like any other."""

import json
from pathlib import Path

import numpy as np
import pytest

from charlm.config import Config, merge
from charlm.errors import CheckpointError, CorpusError, ModelError
from charlm.inference.loading import load_part, load_run, require_recurrent
from charlm.inference.predictors.ngram import NgramPredictor
from charlm.inference.predictors.reader import Reader
from charlm.inference.scoring.documents import score_store
from charlm.metrics import Score
from charlm.storage.run import open_run
from charlm.training.distributed import World
from charlm.training.ngrams import check_countable
from charlm.training.reports import Done, Evaluated, Note, Saved, Started
from tests.training.conftest import WORDS, StopAt, last, train_into


@pytest.fixture
def settings(text: Path) -> Config:
    text.write_text(WORDS * 40 + WORDS.replace("dog", "cat") * 40)
    return Config.from_tables(
        {"data": {"sources": [str(text)], "split": [80, 20]}, "model": {"kind": "ngram"}}
    )


def with_model(settings: Config, **model: object) -> Config:
    return Config.from_tables(merge(settings.to_tables(), {"model": model}))


def test_each_order_is_a_step_and_the_best_one_is_kept(settings: Config, tmp_path: Path) -> None:
    reports = train_into(settings, tmp_path / "run")
    kinds = [type(report) for report in reports if isinstance(report, Started | Saved | Done)]
    assert kinds == [Started, Saved, Done]
    tried = [report for report in reports if isinstance(report, Evaluated)]
    assert [report.step for report in tried] == list(range(1, len(tried) + 1))
    best = min(tried, key=lambda report: report.valid_nll)
    done = last(reports)
    assert (done.step, done.best_step, done.valid_nll) == (best.step, best.step, best.valid_nll)
    assert done.finished
    assert done.tokens_per_second > 0
    folder = tmp_path / "run"
    assert json.loads((folder / "best.json").read_text())["valid_nll"] == best.valid_nll
    logged = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line["valid_nll"] for line in logged] == [report.valid_nll for report in tried]


def test_the_reported_validation_is_the_score_of_the_saved_model(
    settings: Config, tmp_path: Path
) -> None:
    done = last(train_into(settings, tmp_path / "run"))
    loaded = load_run(tmp_path / "run")
    assert isinstance(loaded.model, NgramPredictor)
    assert loaded.model.ngrams.order == loaded.step == done.step
    assert loaded.model.ngrams.size == done.parameters
    parts = score_store(loaded.model, loaded.tokenizer, load_part(loaded, "valid"))
    score = sum(parts, start=Score())
    assert score.mean_nll == pytest.approx(done.valid_nll, abs=1e-12)
    assert score.bpc == pytest.approx(done.valid_bpc, abs=1e-12)


def test_an_order_that_is_given_is_taken(settings: Config, tmp_path: Path) -> None:
    reports = train_into(with_model(settings, order=2), tmp_path / "run")
    (tried,) = (report for report in reports if isinstance(report, Evaluated))
    assert tried.step == last(reports).step == load_run(tmp_path / "run").step == 2


def test_without_validation_text_the_order_has_to_be_given(settings: Config, text: Path) -> None:
    data = {"data": {"split": None, "test": [str(text)]}}
    alone = Config.from_tables(merge(settings.to_tables(), data))
    folder = text.parent / "run"
    with pytest.raises(CorpusError, match="no validation text to choose the order"):
        train_into(alone, folder)
    assert not folder.exists()
    done = last(train_into(with_model(alone, order=3), folder))
    assert (done.step, done.best_step, done.valid_nll) == (3, None, None)
    assert not (folder / "best.json").exists()
    assert load_run(folder).step == 3


def test_the_same_again_finds_it_done(settings: Config, tmp_path: Path) -> None:
    done = last(train_into(settings, tmp_path / "run"))
    reports = train_into(settings, tmp_path / "run")
    again = last(reports)
    assert again.tokens_per_second == 0
    assert (again.step, again.valid_nll, again.seconds) == (done.step, done.valid_nll, done.seconds)
    assert not [report for report in reports if isinstance(report, Evaluated | Saved)]
    (started,) = (report for report in reports if isinstance(report, Started))
    assert (started.resumed, started.unit) == (True, "order")


def test_stopped_while_counting_nothing_was_saved(settings: Config, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train_into(settings, tmp_path / "prepared")
    asked = StopAt(3)
    reports = train_into(settings, folder, stop=asked)
    assert not [report for report in reports if isinstance(report, Started | Done)]
    assert open_run(folder).blank
    assert last(train_into(settings, folder)).finished


def test_a_damaged_checkpoint_is_named_and_counted_anew(settings: Config, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = last(train_into(settings, folder))
    (path,) = folder.glob("checkpoints/*/model.safetensors")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"model.safetensors has changed"):
        load_run(folder)
    reports = train_into(settings, folder)
    assert any("skipped" in report.text for report in reports if isinstance(report, Note))
    assert last(reports).valid_nll == done.valid_nll
    assert path.read_bytes() == content


def test_what_needs_a_network_refuses_ngrams(settings: Config, tmp_path: Path) -> None:
    train_into(settings, tmp_path / "run")
    with pytest.raises(ModelError, match="run holds no recurrent network, and this needs one"):
        require_recurrent(load_run(tmp_path / "run"))


def test_a_network_is_handed_out(config, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    train_into(config(steps=1), tmp_path / "run")
    network = require_recurrent(load_run(tmp_path / "run"))
    assert not network.training


def test_weights_of_another_model_are_refused(config, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    train_into(config(steps=1), tmp_path / "run")
    path = tmp_path / "run" / "run.toml"
    path.write_text(path.read_text().replace("hidden_size = 8", "hidden_size = 9"))
    with pytest.raises(ModelError, match="do not fit the model's settings"):
        load_run(tmp_path / "run")
    path.write_text(path.read_text().replace('kind = "recurrent"', 'kind = "ngram"'))
    with pytest.raises(ModelError, match="n-grams do not fit together"):
        load_run(tmp_path / "run")


def test_several_processes_are_refused(settings: Config) -> None:
    with pytest.raises(ModelError, match="counted by one process, not by 2"):
        check_countable(settings.model, None, World(rank=0, size=2))


def test_ngrams_of_words_find_their_order_too(settings: Config, tmp_path: Path) -> None:
    words = Config.from_tables(merge(settings.to_tables(), {"tokenizer": {"kind": "word"}}))
    train_into(words, tmp_path / "run")
    loaded = load_run(tmp_path / "run")
    assert 2 <= loaded.step <= 5
    nll = Reader(loaded.model).nll(loaded.tokenizer.encode("the quick brown fox jumps"))
    assert np.all(nll[1:] < 0.5)
