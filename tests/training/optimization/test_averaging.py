"""Averages of the weights: what they are, when they begin, and that they are what is used."""

from pathlib import Path

import pytest
import torch
from torch import nn

from charlm.config import TrainConfig
from charlm.errors import ConfigError
from charlm.inference.loading import load_run
from charlm.inference.predictors.reader import Reader
from charlm.storage.run import open_run
from charlm.training.optimization.averaging import Average
from charlm.training.reports import Evaluated
from tests.training.conftest import WORDS, last, train_into


class One(nn.Module):
    """A model of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.0]))

    def become(self, value: float) -> None:
        with torch.no_grad():
            self.weight.fill_(value)


def test_the_moving_average_is_that_of_the_formula() -> None:
    model = One()
    average = Average(TrainConfig(average="ema", ema_decay=0.25), model)
    expected = 0.0
    for step, value in enumerate([1.0, 2.0, 4.0, 8.0]):
        model.become(value)
        average.update()
        decay = min(0.25, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.weights["weight"].item() == pytest.approx(expected)


def test_the_moving_average_of_constant_weights_is_those_weights() -> None:
    model = One()
    model.become(3.0)
    average = Average(TrainConfig(average="ema"), model)
    for _ in range(50):
        average.update()
    assert average.weights["weight"].item() == 3.0


def test_averaging_begins_when_validation_is_worse_than_long_before() -> None:
    model = One()
    average = Average(TrainConfig(average="asgd", nonmono=2), model)
    # Worse than the one before does not count; worse than the best before the last two does.
    for nll, begins in [(5.0, 0), (3.0, 0), (4.0, 0), (3.5, 0), (3.2, 1), (9.0, 1)]:
        average.note_validation(nll)
        assert bool(average.weights) == bool(begins), nll


def test_from_then_on_it_is_the_plain_mean() -> None:
    model = One()
    average = Average(TrainConfig(average="asgd", nonmono=1), model)
    model.become(100.0)
    average.update()
    average.note_validation(1.0)
    average.note_validation(2.0)
    average.note_validation(3.0)
    for value in (1.0, 2.0, 6.0):
        model.become(value)
        average.update()
    assert average.weights["weight"].item() == pytest.approx(3.0)
    assert model.weight.item() == 6.0


def test_in_place_the_model_has_the_average_and_afterwards_its_own_weights() -> None:
    model = One()
    average = Average(TrainConfig(average="ema"), model)
    model.become(1.0)
    average.update()
    with average.in_place():
        assert model.weight.item() == pytest.approx(0.9)
    assert model.weight.item() == 1.0
    assert average.weights["weight"].item() == pytest.approx(0.9)


def test_without_averaging_nothing_is_kept() -> None:
    average = Average(TrainConfig(), One())
    average.update()
    average.note_validation(1.0)
    assert (average.weights, average.tensors()) == ({}, {})


@pytest.mark.parametrize("average", ["ema", "asgd"])
def test_what_was_validated_is_what_is_saved_and_used(config, tmp_path: Path, average: str) -> None:
    noisy = {"optimizer": "sgd", "learning_rate": 20.0, "schedule": "constant"}
    settings = config(average=average, nonmono=1, evaluations=10, **noisy)
    reports = train_into(settings, tmp_path / "run")
    run = open_run(tmp_path / "run")
    tokenizer = run.tokenizer()
    heldout = tokenizer.encode((WORDS * 40)[int(len(WORDS * 40) * 0.8) :])
    end = [report for report in reports if isinstance(report, Evaluated)][-1]
    for step, validated in [(end.step, end.valid_nll), (None, last(reports).valid_nll)]:
        model = load_run(run.folder, step).model
        assert Reader(model).nll(heldout).mean() == pytest.approx(validated, abs=1e-6)
    found, _ = run.newest()
    assert any(not torch.equal(found.model[n], found.train[f"raw/{n}"]) for n in found.model)


def test_a_trigger_that_could_never_act_is_refused_naming_both() -> None:
    with pytest.raises(ConfigError, match=r"training.nonmono \(5\).*training.evaluations \(7\)"):
        TrainConfig(average="asgd", evaluations=7)
