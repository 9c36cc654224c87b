"""Trainings whose loss or weights are not finite."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from charlm.config import Config
from charlm.errors import ModelError
from charlm.storage.checkpoints import list_checkpoints
from charlm.storage.run import open_run
from charlm.training.learner import Learner, Outcome
from charlm.training.reports import Stepped
from tests.training.conftest import StopAt, last, notes, train_into
from tests.training.test_resume import final, log_without_times

MakeConfig = Callable[..., Config]


def exploding(monkeypatch: pytest.MonkeyPatch, when: Callable[[int, float], bool]) -> None:
    """Let steps fail as they do where the loss is not finite: (step, learning rate) -> whether."""
    learn = Learner.learn

    def learned(learner: Learner, step: int, rate: float) -> Outcome:
        outcome = learn(learner, step, rate)
        if when(step, rate):
            return Outcome(math.inf, math.inf, outcome.tokens, taken=False)
        return outcome

    monkeypatch.setattr(Learner, "learn", learned)


def test_ten_steps_without_finite_numbers_go_back_to_the_last_checkpoint(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(steps=40, evaluations=4, schedule="constant", warmup=0.0, average="ema")
    rates: list[float] = []
    exploding(monkeypatch, lambda step, rate: rates.append(rate) or (step >= 12 and rate > 0.004))
    reports = train_into(settings, tmp_path / "run")
    steps = [report.step for report in reports if isinstance(report, Stepped)]
    assert steps[:33] == [*range(1, 23), *range(11, 22)]  # 22 without saves, and again from 10
    went_back = [note for note in notes(reports) if "back to the checkpoint of step 10" in note]
    assert len(went_back) >= 1
    assert rates[22] == pytest.approx(rates[0] / 2)
    assert last(reports).finished
    found = final(tmp_path / "run")
    assert found.step == 40
    assert found.state["counters"]["returns"] == len(went_back)
    assert [line["step"] for line in log_without_times(tmp_path / "run")] == [
        10, 10, 20, 20, 30, 30, 40, 40,
    ]  # fmt: skip


def test_training_that_explodes_at_any_rate_gives_up_and_keeps_its_checkpoint(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exploding(monkeypatch, lambda step, rate: step >= 12)
    with pytest.raises(ModelError, match="not finite in 10 steps"):
        train_into(config(steps=40, evaluations=4), tmp_path / "run")
    assert final(tmp_path / "run").step == 10


def test_weights_that_are_not_finite_are_never_saved(
    config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn = Learner.learn

    def spoiled(learner: Learner, step: int, rate: float) -> Outcome:
        outcome = learn(learner, step, rate)
        if step == 14:
            with torch.no_grad():
                learner.model.head.bias[0] = math.nan
        return outcome

    monkeypatch.setattr(Learner, "learn", spoiled)
    train_into(config(evaluations=3), tmp_path / "run", stop=StopAt(25))
    for path in list_checkpoints(tmp_path / "run" / "checkpoints"):
        found = open_run(tmp_path / "run").checkpoint(int(path.name[-8:]))
        assert all(weight.isfinite().all() for weight in found.model.values())
    assert final(tmp_path / "run").step == 10
