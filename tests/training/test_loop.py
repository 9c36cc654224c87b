"""The loop learns, follows its budget, evaluates when due, and guards its numbers."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from charlm.config import ModelConfig, TrainConfig
from charlm.data.batches import Segments
from charlm.errors import ConfigError, ModelError
from charlm.inference.loading import load_run
from charlm.inference.predictors.reader import Reader
from charlm.model.language_model import LanguageModel
from charlm.storage.run import open_run
from charlm.training.budget.pace import Pace
from charlm.training.distributed import World
from charlm.training.learner import Learner, Outcome, reset_lanes
from charlm.training.optimization.optimizers import learning_rate, make_optimizer
from charlm.training.reports import Evaluated, Stepped
from charlm.training.validation import Validation
from tests.training.conftest import WORDS, last, train_into

TOKENS = torch.tensor([0, *[1 + ord(c) % 30 for c in WORDS * 20], 0], dtype=torch.uint8).numpy()


def make_learner(**training: object) -> Learner:
    config = TrainConfig(batch_size=6, bptt=8, **training)
    model = LanguageModel.create(ModelConfig(hidden_size=16, dropout=0), 32, seed=1)
    return Learner(model, Segments(TOKENS, 6, 8, seed=1), config, World())


def test_a_repeating_text_is_learned_almost_by_heart(config, tmp_path: Path) -> None:
    settings = config(steps=250, learning_rate=0.02, batch_size=8, bptt=16)
    settings = replace(settings, model=ModelConfig(hidden_size=48, dropout=0))
    reports = train_into(settings, tmp_path / "run")
    first = next(report for report in reports if isinstance(report, Stepped))
    frequencies = [WORDS.count(char) / len(WORDS) for char in set(WORDS)]
    unigram = -sum(share * math.log(share) for share in frequencies)
    assert first.loss == pytest.approx(unigram, abs=0.3)
    assert last(reports).valid_nll < 0.05


def test_the_reported_validation_is_the_score_of_the_saved_model(config, tmp_path: Path) -> None:
    done = last(train_into(config(), tmp_path / "run"))
    loaded = load_run(tmp_path / "run")
    heldout = (WORDS * 40)[int(len(WORDS * 40) * 0.8) :]
    assert loaded.step == done.best_step
    nll = Reader(loaded.model).nll(loaded.tokenizer.encode(heldout)).mean()
    assert nll == pytest.approx(done.valid_nll, abs=1e-6)
    assert done.valid_bpc == pytest.approx(nll / math.log(2), abs=1e-6)


def test_accumulating_parts_gives_the_gradient_of_the_whole() -> None:
    whole, parts = make_learner(), make_learner(accumulate=4)
    for learner in (whole, parts):
        for step in range(3):
            learner.learn(step, 0.0)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(whole.state, parts.state)


def test_the_state_is_carried_from_segment_to_segment() -> None:
    learner = make_learner()
    model, segments = learner.model.eval(), learner.segments
    inputs = torch.cat([segments[step].inputs for step in range(3)], dim=1)
    for step in range(3):
        learner.learn(step, 0.0)
    with torch.no_grad():
        _, state = model(inputs)
    torch.testing.assert_close(learner.state, state)


def test_only_fresh_lanes_are_reset() -> None:
    state = ((torch.ones(3, 2), torch.ones(3, 2)),)
    after = reset_lanes(state, torch.tensor([False, True, False]))
    assert [part[:, 0].tolist() for part in after[0]] == [[1, 0, 1], [1, 0, 1]]


def test_gradients_are_clipped_to_the_norm_and_reported_as_they_were() -> None:
    learner = make_learner(clip=0.01)
    outcome = learner.learn(0, 0.0)
    norm = torch.nn.utils.get_total_norm([p.grad for p in learner.model.parameters()])
    assert norm.item() == pytest.approx(0.01, rel=1e-3)
    assert outcome.gradient_norm > 0.05


def test_a_step_without_finite_numbers_leaves_the_weights_and_clears_the_state() -> None:
    learner = make_learner()
    learner.learn(0, 0.1)
    before = {name: tensor.clone() for name, tensor in learner.model.tensors().items()}
    learner.state = tuple(tuple(part * math.nan for part in layer) for layer in learner.state)
    assert not learner.learn(1, 0.1).taken
    assert all(torch.equal(before[name], t) for name, t in learner.model.tensors().items())
    assert all((part == 0).all() for layer in learner.state for part in layer)
    assert learner.learn(2, 0.1).taken


def test_numbers_that_stay_infinite_end_in_advice(config, tmp_path: Path) -> None:
    settings = config(steps=100, optimizer="sgd", learning_rate=1e30, clip=0, weight_decay=0.01)
    with pytest.raises(ModelError, match="not finite in 10 steps") as caught:
        train_into(settings, tmp_path / "run")
    assert "learning_rate" in caught.value.hint
    found, _ = open_run(tmp_path / "run").newest()
    assert found is None or all(tensor.isfinite().all() for tensor in found.model.values())


def test_a_validation_that_is_no_number_is_worse_than_any(
    config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Validation, "nll", lambda *_: math.nan)
    done = last(train_into(config(), tmp_path / "run"))
    assert done.finished
    assert done.best_step is None


def test_what_is_called_the_best_is_a_checkpoint(
    config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that was left out is validated after none of its kind."""
    learn = Learner.learn

    def left_out(learner: Learner, step: int, rate: float) -> Outcome:
        outcome = learn(learner, step, rate)
        return replace(outcome, taken=step not in (19, 29))

    monkeypatch.setattr(Learner, "learn", left_out)
    reports = train_into(config(), tmp_path / "run")
    assert [r.step for r in reports if isinstance(r, Evaluated)] == [10, 21]
    assert last(reports).best_step == load_run(tmp_path / "run").step == 21


@pytest.mark.parametrize(
    ("schedule", "fraction", "expected"),
    [
        ("trapezoid", 0.1, 0.5),
        ("trapezoid", 0.2, 1),
        ("trapezoid", 0.5, 1),
        ("trapezoid", 0.75, 0.5),
        ("trapezoid", 1, 0),
        ("cosine", 0.1, 0.5),
        ("cosine", 0.2, 1),
        ("cosine", 0.6, 0.5),
        ("cosine", 1, 0),
        ("constant", 0.1, 0.5),
        ("constant", 0.9, 1),
        ("plateau", 0.9, 1),
    ],
)
def test_learning_rates_follow_their_schedule(
    schedule: str, fraction: float, expected: float
) -> None:
    config = TrainConfig(schedule=schedule, warmup=0.2, cooldown=0.5, learning_rate=1.0)
    assert learning_rate(config, fraction) == pytest.approx(expected)
    assert learning_rate(config, fraction, divisor=4) == pytest.approx(expected / 4)


def test_plateau_divides_the_rate_when_validation_stalls(config, tmp_path: Path) -> None:
    settings = config(
        steps=40, evaluations=8, optimizer="sgd", learning_rate=1e-9, schedule="plateau", warmup=0.0
    )
    reports = train_into(settings, tmp_path / "run")
    rates = [report.learning_rate for report in reports if isinstance(report, Stepped)]
    stalls = [not report.best for report in reports if isinstance(report, Evaluated)]
    assert rates[-1] == pytest.approx(1e-9 / 4 ** sum(stalls[:-1]))


def test_patience_ends_training_early(config, tmp_path: Path) -> None:
    settings = config(
        steps=1000,
        evaluations=100,
        patience=2,
        optimizer="sgd",
        learning_rate=1e-12,
        weight_decay=0.0,
        schedule="constant",
    )
    done = last(train_into(settings, tmp_path / "run"))
    assert (done.reason, done.finished) == ("patience", True)
    assert done.step < 1000
    again = train_into(settings, tmp_path / "run")
    assert not [report for report in again if isinstance(report, Stepped)]


def test_evaluations_are_evenly_spread_and_one_is_at_the_end(config, tmp_path: Path) -> None:
    reports = train_into(config(steps=30, evaluations=3), tmp_path / "run")
    assert [r.step for r in reports if isinstance(r, Evaluated)] == [10, 20, 30]


def test_epochs_become_steps(config, tmp_path: Path) -> None:
    reports = train_into(config(epochs=2), tmp_path / "run")
    steps = [report for report in reports if isinstance(report, Stepped)]
    train_tokens = int(len(WORDS * 40) * 0.8)
    assert steps[-1].tokens == 2 * (train_tokens + 1)  # the boundary between two epochs
    assert {report.epoch for report in steps} == {0, 1}


class Clock:
    """Time that only moves when told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_minutes_follow_the_clock_and_count_earlier_sittings() -> None:
    clock = Clock()
    pace = Pace(TrainConfig(minutes=2), steps_per_epoch=10, spent=30.0, clock=clock)
    assert pace.fraction(step=7) == pytest.approx(30 / 120)
    clock.now += 30
    assert pace.fraction(step=7) == pytest.approx(60 / 120)
    pace.expect(2.0)
    assert pace.fraction(step=7) == pytest.approx(60 / 118)
    for slow in (50.0, 60.0):
        pace.expect(slow)
    assert pace.fraction(step=7) == pytest.approx(60 / (0.96 * 120))
    clock.now += 1000
    assert pace.fraction(step=7) == 1.0


def test_the_most_epochs_end_what_the_clock_does_not() -> None:
    clock = Clock()
    config = TrainConfig(minutes=2, most_epochs=1.5)
    pace = Pace(config, steps_per_epoch=10, spent=30.0, clock=clock)
    assert pace.fraction(step=3) == pytest.approx(30 / 120)
    assert pace.fraction(step=12) == pytest.approx(12 / 15)
    assert pace.fraction(step=15) == 1.0
    steps = TrainConfig(steps=100, most_epochs=1)
    assert Pace(steps, steps_per_epoch=10, spent=0.0).fraction(step=50) == 0.5


def test_a_run_of_a_short_text_ends_early(config, tmp_path: Path) -> None:
    some = config(minutes=10, most_epochs=2)
    done = last(train_into(some, tmp_path / "run"))
    assert done.finished
    assert done.reason == "epochs"
    assert done.seconds < 60
    again = train_into(some, tmp_path / "run")
    assert not [report for report in again if isinstance(report, Stepped)]


def test_a_run_by_the_clock_ends_on_time(config, tmp_path: Path) -> None:
    minutes = 3 / 60
    done = last(train_into(config(minutes=minutes), tmp_path / "run"))
    assert done.finished
    assert done.seconds == pytest.approx(3, abs=0.5)
    again = train_into(config(minutes=minutes), tmp_path / "run")
    assert not [report for report in again if isinstance(report, Stepped)]


def test_biases_are_never_decayed() -> None:
    model = LanguageModel.create(ModelConfig(hidden_size=4), 5, seed=1)
    optimizer = make_optimizer(TrainConfig(weight_decay=0.1), model, torch.device("cpu"))
    decays = {id(p): g["weight_decay"] for g in optimizer.param_groups for p in g["params"]}
    for name, parameter in model.named_parameters():
        assert decays[id(parameter)] == (0.0 if "bias" in name else 0.1)


def test_sgd_decays_nothing_unless_it_is_told() -> None:
    assert TrainConfig().decay == 0.01
    assert TrainConfig(optimizer="sgd").decay == 0.0
    assert TrainConfig(optimizer="sgd", weight_decay=1e-6).decay == 1e-6


def test_the_log_has_the_mean_loss_of_every_ten_steps(config, tmp_path: Path) -> None:
    reports = train_into(config(steps=25), tmp_path / "run")
    losses = [report.loss for report in reports if isinstance(report, Stepped)]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    logged = [line["loss"] for line in lines if line["type"] == "stepped"]
    assert logged == pytest.approx([sum(losses[:10]) / 10, sum(losses[10:20]) / 10])


def test_bfloat16_trains_and_keeps_its_weights_in_float32(config, tmp_path: Path) -> None:
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        with pytest.raises(ConfigError, match="bfloat16"):
            last(train_into(config(steps=5, precision="bfloat16"), tmp_path / "run"))
        return
    done = last(train_into(config(steps=5, precision="bfloat16"), tmp_path / "run"))
    found, _ = open_run(tmp_path / "run").newest()
    assert math.isfinite(done.valid_nll)
    assert {str(tensor.dtype) for tensor in found.model.values()} == {"torch.float32"}
