"""What minutes decide for a text: within bounds, monotone, and never what was chosen."""

import re

import numpy as np
import pytest
import torch

from charlm.config import Config, merge
from charlm.training.budget import decisions as budget
from charlm.training.budget.decisions import SIZES, decide, undecided

torch.set_num_threads(1)

SIZE = {"model": {"hidden_size": 256}}
"""The size chosen, so that only the rest depends on the text."""


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose speed is known: a hundred million weights times tokens in a second."""
    monkeypatch.setattr(
        budget.Probe, "measure", lambda self, config: 1e11 / (8 * config.model.hidden_size**2)
    )


def asked(minutes: float, **chosen: dict[str, object]) -> Config:
    return Config.from_tables(merge({"training": {"minutes": minutes}}, chosen))


def decided(minutes: float, tokens: int = 1_000_000, **chosen: dict[str, object]) -> Config:
    return decide(asked(minutes, **chosen), np.zeros(tokens, dtype=np.uint8), 65).config


def test_more_time_never_makes_the_model_smaller() -> None:
    sizes = [decided(minutes).model.hidden_size for minutes in (0.01, 0.1, 1, 10, 100, 1440)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert set(sizes) <= set(SIZES)


def test_more_passes_never_need_less_dropout() -> None:
    texts = (10_000, 100_000, 1_000_000, 10_000_000)
    dropouts = [decided(1, tokens, **SIZE).model.dropout for tokens in texts]
    assert dropouts == sorted(dropouts, reverse=True)
    assert dropouts[-1] == 0 < dropouts[0] <= budget.MOST_DROPOUT


def test_more_parameters_never_need_less_dropout() -> None:
    dropouts = [budget.dropout_for(10, parameters) for parameters in (0.1, 1, 10, 100)]
    assert dropouts == sorted(dropouts)
    assert dropouts[0] < dropouts[-1]
    assert budget.dropout_for(0.0, 1) == 0.0


def test_what_dropout_cannot_do_is_asked_of_the_recurrent_weights() -> None:
    few, many, most = (decided(10, tokens).model for tokens in (1_000_000, 300_000, 300))
    assert few.weight_drop == 0
    assert many.dropout == budget.MOST_DROPOUT
    assert 0 < many.weight_drop < most.weight_drop == budget.MOST_WEIGHT_DROP
    assert decided(10, 1_000, model={"dropout": 0.25}).model.weight_drop == 0


def test_weights_forget_in_as_many_passes_of_any_text_that_is_read_often() -> None:
    for tokens in (300_000, 600_000):
        training = decided(10, tokens, **SIZE).training
        steps = tokens / (training.batch_size * training.bptt)
        forgotten = 1 / (training.weight_decay * training.learning_rate * steps)
        assert forgotten == pytest.approx(budget.FORGETTING_PASSES, rel=0.05)
    assert decided(10, 10_000).training.weight_decay == budget.MOST_WEIGHT_DECAY
    assert decided(1, 10_000_000, **SIZE).training.weight_decay is None
    assert decided(10, 300_000, training={"weight_decay": 0.01}).training.decay == 0.01


def test_a_short_text_is_not_read_for_ever() -> None:
    """Nor is more dropped for time that is not used; whoever chooses the dropout has all of it."""
    config, text = asked(10), np.zeros(10_000, dtype=np.uint8)
    short = decide(config, text, 65)
    assert short.config.training.most_epochs == budget.MOST_PASSES
    assert short.config.model == decided(1440, 10_000).model
    assert "tokens in 0 s: " in short.reasons[0]
    passes = f"that is {budget.MOST_PASSES} passes over the text (more gained next to nothing)"
    assert passes in short.reasons[1]
    assert "gained" not in decide(config, np.zeros(9_000_000, np.uint8), 65).reasons[1]
    chosen = decide(asked(10, model={"dropout": 0.25}), text, 65)
    assert chosen.config.training.most_epochs is None
    assert "gained" not in chosen.reasons[1]


def test_a_short_text_gets_fewer_lanes() -> None:
    assert decided(1, 10_000).training.batch_size < decided(1).training.batch_size
    assert decided(1, 100).training.batch_size == 1
    assert decided(1, 100, training={"accumulate": 4}).training.batch_size == 4


def test_a_text_that_is_read_often_gets_fewer_lanes_where_they_are_not_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert decided(10, 300_000).training.batch_size == budget.FEWER_LANES
    assert decided(1, 10_000_000).training.batch_size == 32
    assert decided(10, 300_000, training={"batch_size": 32}).training.batch_size == 32
    # As on a GPU: a step takes the same time whatever the lanes.
    rate = budget.Probe.measure
    monkeypatch.setattr(
        budget.Probe,
        "measure",
        lambda self, config: rate(self, config) * config.training.batch_size / 32,
    )
    assert decided(10, 300_000).training.batch_size == 32


def test_only_a_rate_that_falls_is_said_to_fall() -> None:
    for schedule in ("trapezoid", "cosine", "constant"):
        config = asked(1, training={"schedule": schedule})
        reasons = decide(config, np.zeros(9_000, dtype=np.uint8), 65).reasons
        assert ("falling to zero" in reasons[2]) == (schedule != "constant")


def test_only_a_large_vocabulary_gets_an_adaptive_softmax_and_a_small_embedding() -> None:
    config, text = asked(10), np.zeros(1_000_000, dtype=np.uint16)
    few, many = (decide(config, text, vocab_size).config.model for vocab_size in (99, 40_000))
    assert not few.adaptive_softmax
    assert few.embedding == few.hidden_size
    assert many.adaptive_softmax
    assert many.embedding == 256 < many.hidden_size
    assert decide(config, text, 40_000).config.training.most_epochs is None
    mixture = asked(10, model={"softmaxes": 3})
    assert not decide(mixture, text, 40_000).config.model.adaptive_softmax


def test_a_large_vocabulary_has_some_of_everything_dropped() -> None:
    """The more, the more passes; nothing where the dropout was chosen or a pass is not done."""
    config, text = asked(10), np.zeros(300_000, dtype=np.uint16)
    places = ("input_dropout", "embedding_dropout", "weight_drop")
    letters, words = (decide(config, text, size) for size in (99, 40_000))
    assert [getattr(letters.config.model, place) for place in places[:2]] == [0, 0]
    model = words.config.model
    assert model.dropout > model.input_dropout > model.weight_drop > model.embedding_dropout > 0
    assert f"input dropout {model.input_dropout:g}, embedding dropout" in words.reasons[1]
    once = decide(config, np.zeros(90_000_000, dtype=np.uint16), 40_000).config.model
    given = decide(asked(10, model={"dropout": 0.25}), text, 40_000).config.model
    for place in places:
        assert getattr(once, place) == getattr(given, place) == 0
    kept = decide(asked(10, model={"input_dropout": 0.0}), text, 40_000).config.model
    assert kept.input_dropout == 0 < kept.embedding_dropout


def test_what_was_chosen_stays() -> None:
    """Everything that may be decided, at values that no decision would take."""
    model = {
        "hidden_size": 33, "embedding_size": 7, "adaptive_softmax": True, "dropout": 0.9,
        "input_dropout": 0.01, "embedding_dropout": 0.02, "weight_drop": 0.03,
    }  # fmt: skip
    training = {"batch_size": 7, "learning_rate": 0.5, "weight_decay": 0.07, "most_epochs": 1.5}
    config = asked(5, model=model, training=training)
    assert undecided(config) == frozenset()
    assert len(undecided(asked(5))) == len(model) + len(training)
    assert decide(config, np.zeros(9_000, dtype=np.uint8), 65).config == config


def test_a_decision_leaves_nothing_open_but_what_follows_from_another_setting() -> None:
    following = {"model.embedding_size", "training.weight_decay", "training.most_epochs"}
    assert undecided(decided(1, 10_000_000)) <= following


def test_a_model_far_too_large_for_its_text_is_warned_of() -> None:
    config = asked(1, model={"hidden_size": 512})
    few, many = (
        decide(config, np.zeros(size, dtype=np.uint8), 65).reasons for size in (9_000, 9_000_000)
    )
    assert len(few) == 4
    assert "parameters per token of the text" in few[-1]
    assert len(many) == 3


def test_the_first_reason_is_a_sentence_with_its_units() -> None:
    one, *_ = decide(asked(2), np.zeros(1_000_000, dtype=np.uint8), 65).reasons
    assert re.fullmatch(
        r"this machine can train one layer of \d+ units \([\d,]+ parameters\) on about [\d.]+ M "
        r"tokens in 2 min: [\d.]+ tokens? per parameter",
        one,
    )
