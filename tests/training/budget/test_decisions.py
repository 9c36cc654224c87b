"""What is decided for a text and a time: within bounds, monotone, and never what was chosen."""

import numpy as np
import pytest
import torch

from charlm.config import Config
from charlm.training.budget import decisions as budget
from charlm.training.budget.decisions import FREE, SIZES, decide

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose speed is known: a hundred million weights times tokens in a second."""
    monkeypatch.setattr(
        budget.Probe, "measure", lambda self, config: 1e11 / (8 * config.model.hidden_size**2)
    )


def decided(
    minutes: float, tokens: int = 1_000_000, chosen: frozenset[str] = frozenset()
) -> Config:
    config = Config.from_tables({"training": {"minutes": minutes}})
    text = np.zeros(tokens, dtype=np.uint8)
    return decide(config, FREE - chosen, text, 65).config


def test_more_time_never_makes_the_model_smaller() -> None:
    sizes = [decided(minutes).model.hidden_size for minutes in (0.01, 0.1, 1, 10, 100, 1440)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert set(sizes) <= set(SIZES)


def test_more_passes_never_need_less_dropout() -> None:
    texts = (10_000, 100_000, 1_000_000, 10_000_000)
    chosen = frozenset({"model.hidden_size"})
    dropouts = [decided(1, tokens, chosen).model.dropout for tokens in texts]
    assert dropouts == sorted(dropouts, reverse=True)
    assert dropouts[-1] == 0 < dropouts[0] <= budget.MOST_DROPOUT


def test_more_parameters_never_need_less_dropout() -> None:
    wanted = [budget.wanted_dropout(10, parameters) for parameters in (0.1, 1, 10, 100)]
    assert wanted == sorted(wanted)
    assert wanted[0] < wanted[-1]
    assert budget.wanted_dropout(0.0, 1) == 0.0


def test_what_dropout_cannot_do_is_asked_of_the_recurrent_weights() -> None:
    few, many, most = (decided(10, tokens).model for tokens in (1_000_000, 300_000, 300))
    assert few.weight_drop == 0
    assert many.dropout == budget.MOST_DROPOUT
    assert 0 < many.weight_drop < most.weight_drop == budget.MOST_WEIGHT_DROP
    assert decided(10, 1_000, frozenset({"model.dropout"})).model.weight_drop == 0


def test_weights_forget_in_as_many_passes_of_any_text_that_is_read_often() -> None:
    size, often = frozenset({"model.hidden_size"}), (300_000, 600_000)
    for tokens in often:
        training = decided(10, tokens, size).training
        steps = tokens / (training.batch_size * training.bptt)
        forgotten = 1 / (training.weight_decay * training.learning_rate * steps)
        assert forgotten == pytest.approx(budget.FORGETTING_PASSES, rel=0.05)
    assert decided(10, 10_000).training.weight_decay == budget.MOST_WEIGHT_DECAY
    assert decided(1, 10_000_000, size).training.weight_decay is None
    assert decided(10, 300_000, frozenset({"training.weight_decay"})).training.decay == 0.01


def test_a_short_text_is_not_read_for_ever() -> None:
    """Nor is more dropped for time that is not used; whoever chooses the dropout has all of it."""
    config = Config.from_tables({"training": {"minutes": 10}})
    text = np.zeros(10_000, dtype=np.uint8)
    short = decide(config, FREE, text, 65)
    assert short.config.training.most_epochs == budget.MOST_PASSES
    assert short.config.model == decided(1440, 10_000).model
    assert "tokens in 0 s here" in short.reasons[0]
    assert f"{budget.MOST_PASSES} times (more gained next to nothing)" in short.reasons[1]
    assert "gained" not in decide(config, FREE, np.zeros(9_000_000, np.uint8), 65).reasons[1]
    chosen = decide(config, FREE - {"model.dropout"}, text, 65)
    assert chosen.config.training.most_epochs is None
    assert "gained" not in chosen.reasons[1]


def test_a_short_text_gets_fewer_lanes() -> None:
    assert decided(1, 10_000).training.batch_size < decided(1).training.batch_size
    assert decided(1, 100).training.batch_size == 1
    parts = Config.from_tables({"training": {"minutes": 1, "accumulate": 4}})
    few = decide(parts, FREE, np.zeros(100, dtype=np.uint8), 65).config.training
    assert few.batch_size == 4


def test_a_text_that_is_read_often_gets_fewer_lanes_where_they_are_not_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert decided(10, 300_000).training.batch_size == budget.FEWER_LANES
    assert decided(1, 10_000_000).training.batch_size == 32
    assert decided(10, 300_000, frozenset({"training.batch_size"})).training.batch_size == 32
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
        config = Config.from_tables({"training": {"minutes": 1, "schedule": schedule}})
        reasons = decide(config, FREE, np.zeros(9_000, dtype=np.uint8), 65).reasons
        assert ("falling to zero" in reasons[2]) == (schedule != "constant")


def test_only_a_large_vocabulary_gets_an_adaptive_softmax_and_a_small_embedding() -> None:
    config = Config.from_tables({"training": {"minutes": 10}})
    text = np.zeros(1_000_000, dtype=np.uint16)
    few, many = (decide(config, FREE, text, vocab_size).config.model for vocab_size in (99, 40_000))
    assert not few.adaptive_softmax
    assert few.embedding == few.hidden_size
    assert many.adaptive_softmax
    assert many.embedding == 256 < many.hidden_size
    assert decide(config, FREE, text, 40_000).config.training.most_epochs is None
    mixture = Config.from_tables({"training": {"minutes": 10}, "model": {"softmaxes": 3}})
    assert not decide(mixture, FREE, text, 40_000).config.model.adaptive_softmax


def test_a_large_vocabulary_has_some_of_everything_dropped() -> None:
    """The more, the more passes; nothing where the dropout was chosen or a pass is not done."""
    text = np.zeros(300_000, dtype=np.uint16)
    config = Config.from_tables({"training": {"minutes": 10}})
    places = ("input_dropout", "embedding_dropout", "weight_drop")
    letters, words = (decide(config, FREE, text, size) for size in (99, 40_000))
    assert [getattr(letters.config.model, place) for place in places[:2]] == [0, 0]
    model = words.config.model
    assert model.dropout > model.input_dropout > model.weight_drop > model.embedding_dropout > 0
    assert f"input dropout {model.input_dropout:g}, embedding dropout" in words.reasons[1]
    once = decide(config, FREE, np.zeros(90_000_000, dtype=np.uint16), 40_000).config.model
    given = decide(config, FREE - {"model.dropout"}, text, 40_000).config.model
    for place in places:
        assert getattr(once, place) == getattr(given, place) == 0
    kept = decide(config, FREE - {"model.input_dropout"}, text, 40_000).config.model
    assert kept.input_dropout == 0 < kept.embedding_dropout


def test_what_was_chosen_stays() -> None:
    config = Config.from_tables(
        {
            "model": {"hidden_size": 33, "dropout": 0.9},
            "training": {"minutes": 5, "batch_size": 7, "learning_rate": 0.5},
        }
    )
    assert decide(config, frozenset(), np.zeros(9_000, dtype=np.uint8), 65).config == config


def test_a_model_far_too_large_for_its_text_is_warned_of() -> None:
    config = Config.from_tables({"training": {"minutes": 1}, "model": {"hidden_size": 512}})
    free = FREE - {"model.hidden_size"}
    few, many = (
        decide(config, free, np.zeros(size, dtype=np.uint8), 65).reasons
        for size in (9_000, 9_000_000)
    )
    assert len(few) == 4
    assert "parameters for each token" in few[-1]
    assert len(many) == 3
