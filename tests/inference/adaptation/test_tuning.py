"""Tuning climbs to better values on its own text, which must not be the scored one."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from charlm.config import Config, TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CorpusError, ModelError
from charlm.inference.adaptation import tuning
from charlm.inference.adaptation.adapter import Adapter
from charlm.inference.adaptation.methods import Cache, Dynamic, Evaluation, parse_evaluation
from charlm.inference.adaptation.tuning import MOST_TOKENS, Trial, tune, tuning_ids
from charlm.inference.loading import Loaded, load_part, load_run
from charlm.inference.predictors.reader import Reader
from charlm.training.launch import launch
from tests.data.tokenizers.trained import train

torch.set_num_threads(1)


def prose(seed: int, words: int) -> str:
    source = random.Random(seed)
    syllables = ["ba", "co", "di", "fu", "ga", "lo", "me", "ne", "pi", "ra"]
    return " ".join("".join(source.choices(syllables, k=3)) for _ in range(words))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train(TokenizerConfig(kind="char"), [Piece(prose(1, 500), True)])[0]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "book.txt").write_text(prose(1, 1500))
    config = Config.from_tables(
        {
            "data": {"sources": [str(tmp_path / "book.txt")], "split": [80, 10, 10]},
            "model": {"hidden_size": 16},
            "training": {"steps": 60, "batch_size": 4, "bptt": 16},
        }
    )
    list(launch(config, tmp_path / "run"))
    return load_run(tmp_path / "run")


def test_tuning_ends_with_the_best_of_its_trials(loaded: Loaded) -> None:
    evaluation = parse_evaluation({"dynamic": "segment=8", "cache": "window=50"}, ("valid",))
    ids = tuning_ids(loaded, evaluation)
    trials = list(tune(Adapter(loaded), evaluation, ids))
    better = [trial for trial in trials if trial.better]
    assert [trial.nll for trial in better] == sorted((t.nll for t in better), reverse=True)
    assert better[-1].nll < min(trial.nll for trial in trials) + 2e-4
    assert better[-1].nll < trials[0].nll
    for trial in trials:
        assert trial.evaluation.dynamic is not None
        assert trial.evaluation.dynamic.segment == 8
    model = Adapter(loaded).model(better[-1].evaluation)
    assert Reader(model).nll(ids)[ids != 0].mean() == pytest.approx(better[-1].nll)


def test_a_climb_ends_at_the_first_worse_value_and_a_better_one_spares_the_way_back(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mean_nll(adapter: Adapter, ids: np.ndarray, evaluation: Evaluation) -> float:
        return abs(evaluation.value("temperature.value") - 1.17)

    monkeypatch.setattr(tuning, "mean_nll", mean_nll)
    evaluation = parse_evaluation({"temperature": ""}, ("valid",))
    trials = list(tune(Adapter(loaded), evaluation, np.ones(3, dtype=np.uint8)))
    tried = [trial.evaluation.value("temperature.value") for trial in trials]
    # Up by 8 % to beyond the best; then by 4 % once up and, as that is worse, once down.
    assert tried == [1.0, 1.08, 1.17, 1.26, 1.22, 1.13]
    assert [trial.better for trial in trials] == [True, True, True, False, False, False]


def test_values_that_go_astray_are_only_worse(loaded: Loaded) -> None:
    evaluation = Evaluation(dynamic=Dynamic(lr=1e38), free=("dynamic.lr",), tune_on=("valid",))
    trials: Iterator[Trial] = tune(Adapter(loaded), evaluation, tuning_ids(loaded, evaluation))
    assert next(trials).nll == float("inf")


def test_tuning_reads_the_named_texts_up_to_a_limit(loaded: Loaded, tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("lo fu\n")
    (tmp_path / "long.txt").write_text(prose(6, 5000))
    names = (str(tmp_path / "one.txt"), "valid", str(tmp_path / "long.txt"))
    ids = tuning_ids(loaded, Evaluation(tune_on=names))
    assert len(ids) == MOST_TOKENS
    assert loaded.tokenizer.decode(ids[:5]) == "lo fu"
    with pytest.raises(CorpusError, match="no file, folder or corpus called absent"):
        tuning_ids(loaded, Evaluation(tune_on=("absent",)))


def test_a_tuning_text_without_words_is_refused(loaded: Loaded) -> None:
    with pytest.raises(CorpusError, match="empty"):
        next(tune(Adapter(loaded), Evaluation(cache=Cache()), np.zeros(3, dtype=np.uint8)))


@pytest.mark.parametrize("evaluation", [Evaluation(dynamic=Dynamic()), Evaluation(cache=Cache())])
def test_a_model_that_is_no_network_is_refused(loaded: Loaded, evaluation: Evaluation) -> None:
    other = Loaded(loaded.run, loaded.tokenizer, NoNetwork(), loaded.step)  # type: ignore[arg-type]
    assert Adapter(other).model(Evaluation()) is other.model
    with pytest.raises(ModelError, match="no recurrent network"):
        Adapter(other).model(evaluation)


class NoNetwork:
    """A model without weights."""


def test_statistics_are_gathered_once_for_a_segment_length(loaded: Loaded) -> None:
    adapter = Adapter(loaded)
    assert adapter.statistics(8) is adapter.statistics(8)
    assert adapter.statistics(8) is not adapter.statistics(9)


@pytest.mark.long
def test_methods_help_on_a_play_that_was_never_seen(shared_data: Path, tmp_path: Path) -> None:
    """Their values are the defaults, which were found on other text."""
    config = Config.from_tables(
        {
            "data": {"sources": [str(shared_data / "tinyshakespeare.txt")], "split": [80, 10, 10]},
            "model": {"hidden_size": 96},
            "training": {"steps": 800, "evaluations": 2},
        }
    )
    list(launch(config, tmp_path / "run"))
    loaded = load_run(tmp_path / "run")
    ids = load_part(loaded, "test").tokens[1:30_001]
    static = Reader(loaded.model).nll(ids).mean()
    for evaluation in (Evaluation(dynamic=Dynamic()), Evaluation(cache=Cache())):
        assert Reader(Adapter(loaded).model(evaluation)).nll(ids).mean() < static - 0.03
