"""What dropout of each kind must do: same mask over time, expectation kept, off in evaluation."""

import pytest
import torch

from charlm.config import ModelConfig
from charlm.model.dropout import Dropout, drop_tokens, drop_weights
from charlm.model.language_model import LanguageModel
from charlm.model.recurrence import RecurrentLayer

torch.set_num_threads(1)


def make_model(**settings: object) -> LanguageModel:
    config = ModelConfig(hidden_size=16, num_layers=2, **{"dropout": 0.0, **settings})
    return LanguageModel.create(config, vocab_size=9, seed=1)


def tokens(lanes: int = 3, steps: int = 12) -> torch.Tensor:
    return torch.randint(9, (lanes, steps), generator=torch.Generator().manual_seed(1))


def test_variational_dropout_holds_its_mask_over_time_and_differs_between_lanes() -> None:
    torch.manual_seed(1)
    dropped = Dropout(0.5, "variational").train()(torch.ones(6, 3, 100))
    assert torch.equal(dropped, dropped[:1].expand_as(dropped))
    assert not torch.equal(dropped[:, 0], dropped[:, 1])


def test_ordinary_dropout_draws_a_new_mask_each_step() -> None:
    torch.manual_seed(1)
    dropped = Dropout(0.5, "ordinary").train()(torch.ones(6, 3, 100))
    assert not torch.equal(dropped[0], dropped[1])


@pytest.mark.parametrize("kind", ["variational", "ordinary"])
def test_dropout_keeps_the_expectation_and_is_off_in_evaluation(kind: str) -> None:
    torch.manual_seed(1)
    dropout = Dropout(0.3, kind)
    features = torch.ones(2, 50, 2000)
    assert dropout.train()(features).mean().item() == pytest.approx(1, abs=0.02)
    assert dropout.eval()(features) is features


def test_dropped_weights_keep_the_expectation_and_are_whole_in_evaluation() -> None:
    torch.manual_seed(1)
    matrix = torch.ones(3000, 40)
    assert drop_weights(matrix, 0.3, training=True).mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(drop_weights(matrix, 0.3, training=False), matrix)
    assert drop_weights(matrix, 0.0, training=True) is matrix


def test_a_dropped_token_is_dropped_wherever_it_occurs_and_the_expectation_stays() -> None:
    torch.manual_seed(1)
    drawn = torch.randint(3000, (10, 6000))
    inputs = drop_tokens(torch.ones(10, 6000, 3), drawn, 3000, 0.5)
    assert set(inputs.sum(2).unique().tolist()) == {0.0, 6.0}
    assert inputs.mean().item() == pytest.approx(1, abs=0.05)
    for token in range(5):
        assert len(inputs[drawn == token].unique()) == 1
    assert drop_tokens(inputs, drawn, 3000, 0.0) is inputs


def test_an_embedding_is_whole_in_evaluation() -> None:
    model = make_model(embedding_dropout=0.5).eval()
    whole = model(tokens())[0]
    assert torch.equal(model(tokens())[0], whole)
    assert not torch.equal(model.train()(tokens())[0], whole)


def test_dropped_weights_are_single_numbers() -> None:
    torch.manual_seed(1)
    assert set(drop_weights(torch.ones(50, 50), 0.5, training=True).unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_weights_are_dropped_in_training_whether_gradients_are_computed_or_not(cell: str) -> None:
    layer = RecurrentLayer(cell, 5, 8, weight_drop=0.5)
    layer.initialise(torch.Generator().manual_seed(1))
    state = tuple(torch.ones(3, 8) for _ in layer.zero_state(3))
    hidden = []
    for enabled in (True, False):
        torch.manual_seed(2)
        with torch.set_grad_enabled(enabled):
            hidden.append(layer.train()(torch.zeros(1, 3, 5), state)[0])
    torch.testing.assert_close(*hidden, check_stride=False)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("size", [8, 256])
def test_dropped_weights_are_the_same_at_every_step_of_a_segment(cell: str, size: int) -> None:
    """The fused layer is the reference walked with one fixed matrix; 256 is the native scan's."""
    layer = RecurrentLayer(cell, 5, size, weight_drop=0.5)
    layer.initialise(torch.Generator().manual_seed(1))
    inputs, state = torch.randn(7, 3, 5), layer.zero_state(3)
    torch.manual_seed(2)
    hidden, _ = layer.train()(inputs, state)
    torch.manual_seed(2)
    dropped = drop_weights(layer.weight_hh, 0.5, training=True)
    expected = []
    for projection in layer.project(inputs):
        state = layer.advance(projection, state, dropped)
        expected.append(state[0])
    torch.testing.assert_close(hidden, torch.stack(expected), atol=1e-5, rtol=1e-5)


def test_weight_drop_is_off_in_evaluation_and_reaches_the_raw_weights_in_training() -> None:
    dropping, whole = make_model(weight_drop=0.5), make_model()
    assert torch.equal(dropping.eval()(tokens())[0], whole.eval()(tokens())[0])
    dropping.train()(tokens())[0].sum().backward()
    share = (dropping.layers[0].weight_hh.grad == 0).float().mean().item()
    assert share == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("steps", [4, 40])
@pytest.mark.parametrize("input_dropout", [0.0, 0.2])
def test_a_dropped_token_is_zeros_wherever_it_occurs(steps: int, input_dropout: float) -> None:
    """Both by look-up and by the table of all tokens: a lane of one token sees it or never does."""
    model = make_model(embedding_dropout=0.5, input_dropout=input_dropout).train()
    model.embedding.weight.register_hook(lambda gradient: seen.append(gradient))
    seen: list[torch.Tensor] = []
    torch.manual_seed(3)
    hidden, _ = model.hidden_states(torch.arange(9)[:, None].expand(9, steps))
    hidden.sum().backward()
    dropped = (seen[0] == 0).all(1)
    assert 0 < dropped.sum() < 9
    first_input = hidden[:, dropped]
    torch.testing.assert_close(first_input, first_input[:, :1].expand_as(first_input))


@pytest.mark.parametrize(
    ("settings", "masks"),
    [
        ({"input_dropout": 0.5}, ["input"]),
        ({"dropout": 0.5}, ["between", "output"]),
        ({"dropout": 0.5, "output_dropout": 0.0}, ["between"]),
        ({"output_dropout": 0.5}, ["output"]),
    ],
)
def test_each_place_has_its_own_dropout(settings: dict[str, float], masks: list[str]) -> None:
    model = make_model(**settings).train()
    drops = {
        "input": model.input_dropout.active,
        "between": model.dropout.active,
        "output": model.output_dropout.active,
    }
    assert [name for name, on in drops.items() if on] == masks


def test_with_every_method_off_nothing_is_drawn_and_nothing_added() -> None:
    model = make_model().train()
    before = torch.get_rng_state()
    model(tokens())
    assert torch.equal(torch.get_rng_state(), before)
    layer = {"weight_ih", "weight_hh", "bias"}
    layers = {f"layers.{index}.{name}" for index in range(2) for name in layer}
    assert set(dict(model.named_parameters())) == {"embedding.weight", "head.bias", *layers}


def test_with_dropout_alone_only_its_masks_are_drawn() -> None:
    model = make_model(dropout=0.4, input_dropout=0.3).train()
    torch.manual_seed(1)
    model(tokens())
    after = torch.get_rng_state()
    torch.manual_seed(1)
    for keep in (0.7, 0.6, 0.6):
        torch.empty(1, 3, 16).bernoulli_(keep)
    assert torch.equal(torch.get_rng_state(), after)
