"""Tuning climbs to better values on its own text, which must not be the scored one."""

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from charlm.config import Config, TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer, train
from charlm.errors import CorpusError, ModelError
from charlm.inference.adaptation.adapter import Adapter
from charlm.inference.adaptation.methods import Cache, Dynamic, Evaluation, parse_evaluation
from charlm.inference.adaptation.overlap import refuse_overlap
from charlm.inference.adaptation.tuning import MOST_TOKENS, Trial, tune, tuning_ids
from charlm.inference.loading import Loaded, load_part, load_run
from charlm.inference.predictors.reader import Reader
from charlm.training.launch import launch

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


def overlap(tokenizer: Tokenizer, tuning: str, *scored: str) -> bool:
    pieces = map(tokenizer.encode, scored)
    try:
        refuse_overlap(tokenizer, tokenizer.encode(tuning), pieces)
    except CorpusError:
        return True
    return False


@pytest.mark.parametrize("shift", [0, 1, 63, 64, 517])
def test_a_shared_passage_is_found_wherever_it_lies(tokenizer: Tokenizer, shift: int) -> None:
    passage = prose(2, 60)[:320]
    before = prose(3, 200)[:shift]
    assert overlap(tokenizer, prose(4, 100) + passage + prose(5, 30), before + passage)
    assert overlap(tokenizer, before + passage, prose(4, 100) + passage + prose(5, 30))


@pytest.mark.parametrize("size", [7, 40, 64, 100])
def test_a_shared_passage_is_found_in_documents_however_short(
    tokenizer: Tokenizer, size: int
) -> None:
    passage = prose(2, 60)[:320]
    documents = [passage[begin : begin + size] for begin in range(0, 320, size)]
    assert overlap(tokenizer, prose(4, 100) + passage, prose(3, 20), *documents)
    assert not overlap(tokenizer, prose(4, 100), prose(3, 20), *documents)


def test_a_text_shorter_than_a_window_overlaps_where_it_is_contained(tokenizer: Tokenizer) -> None:
    assert overlap(tokenizer, "ba co di", "ba co di")
    assert overlap(tokenizer, prose(4, 100), prose(4, 100)[50:80])
    assert not overlap(tokenizer, prose(4, 100), prose(4, 100)[50:55])
    assert not overlap(tokenizer, prose(4, 100), "")


def test_a_sentence_in_common_is_no_overlap(tokenizer: Tokenizer) -> None:
    sentence = prose(2, 60)[:250]
    assert not overlap(tokenizer, prose(4, 100) + sentence, sentence + prose(5, 100))
    assert not overlap(tokenizer, prose(4, 300), prose(5, 300))


@pytest.mark.parametrize("size", [65, 130, 200])
def test_short_texts_overlap_if_one_is_in_the_other(tokenizer: Tokenizer, size: int) -> None:
    short = prose(2, 60)[:size]
    assert overlap(tokenizer, prose(4, 30) + short + prose(5, 30), short)
    assert not overlap(tokenizer, prose(4, 60), short)
    if size >= 128:
        assert overlap(tokenizer, short, prose(4, 30) + short + prose(5, 30))


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
