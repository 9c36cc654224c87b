"""The fast layers equal the textbook's cells, and the model keeps its contract on states."""

import math

import pytest
import torch

from charlm.config import ModelConfig
from charlm.errors import ModelError
from charlm.model.cells import CELLS, FUSED
from charlm.model.language_model import LanguageModel
from charlm.model.recurrence import RecurrentLayer

torch.set_num_threads(1)


def make_layer(cell: str, inputs: int, hidden: int, dtype: torch.dtype) -> RecurrentLayer:
    layer = RecurrentLayer(cell, inputs, hidden)
    layer.initialise(torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    return layer.to(dtype)


@pytest.mark.parametrize("cell", FUSED)
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 3, 7, 11), (16, 1, 4, 8), (1, 4, 3, 5)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_fast_layer_and_its_gradients_equal_the_reference(
    cell: str, shape: tuple[int, int, int, int], dtype: torch.dtype, tolerance: float
) -> None:
    steps, lanes, size, hidden = shape
    layer = make_layer(cell, size, hidden, dtype)
    generator = torch.Generator().manual_seed(5)
    inputs = torch.randn(lanes, steps, size, generator=generator, dtype=dtype).transpose(0, 1)
    inputs.requires_grad_()
    state = tuple(
        torch.randn(lanes, hidden, generator=generator, dtype=dtype)
        for _ in range(layer.cell.state_parts)
    )
    weights = torch.randn(steps, lanes, hidden, generator=generator, dtype=dtype)
    results = []
    for way in (layer.forward, layer.reference):
        output, last = way(inputs, state)
        loss = (output * weights).sum() + sum(part.square().sum() for part in last)
        gradients = torch.autograd.grad(loss, [inputs, *layer.parameters()])
        results.append([output, *last, *gradients])
    for fast, reference in zip(*results, strict=True):
        torch.testing.assert_close(fast, reference, atol=tolerance, rtol=tolerance)


def test_lstm_cell_gives_the_textbook_numbers() -> None:
    """One unit, by hand: i = f = o = sigma(1), g = tanh(1), c = 2."""
    h, c = CELLS["lstm"].step(
        torch.full((1, 4), 0.5),
        (torch.ones(1, 1), torch.full((1, 1), 2.0)),
        torch.full((4, 1), 0.5),
    )
    gate, candidate = 1 / (1 + math.exp(-1)), math.tanh(1)
    assert c.item() == pytest.approx(gate * 2 + gate * candidate, abs=1e-6)
    assert h.item() == pytest.approx(gate * math.tanh(c.item()), abs=1e-6)


@pytest.mark.parametrize("cell", list(CELLS))
@pytest.mark.parametrize("tied", [True, False])
def test_two_halves_one_after_the_other_give_the_whole(cell: str, tied: bool) -> None:
    config = ModelConfig(cell=cell, hidden_size=12, num_layers=3, tie_weights=tied)
    model = LanguageModel.create(config, vocab_size=9, seed=1).double().eval()
    tokens = torch.randint(9, (4, 10), generator=torch.Generator().manual_seed(1))
    whole, end = model(tokens)
    first, state = model(tokens[:, :6])
    second, end_of_halves = model(tokens[:, 6:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(end_of_halves, end)


def test_state_none_is_zeros() -> None:
    model = LanguageModel.create(ModelConfig(hidden_size=8), vocab_size=5, seed=1).eval()
    tokens = torch.tensor([[1, 2, 3]])
    assert torch.equal(model(tokens)[0], model(tokens, model.zero_state(1))[0])


def test_lanes_do_not_see_each_other() -> None:
    model = (
        LanguageModel.create(ModelConfig(hidden_size=8, num_layers=2), vocab_size=5, seed=1)
        .double()
        .eval()
    )
    tokens = torch.randint(5, (3, 7), generator=torch.Generator().manual_seed(1))
    together = model(tokens)[0]
    alone = torch.cat([model(lane[None])[0] for lane in tokens])
    torch.testing.assert_close(together, alone)


def test_same_seed_gives_same_weights_and_touches_no_generator() -> None:
    before = torch.get_rng_state()
    one, two, other = (
        LanguageModel.create(ModelConfig(hidden_size=8), 5, seed) for seed in (7, 7, 8)
    )
    assert torch.equal(torch.get_rng_state(), before)
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, two.get_parameter(name))
    assert not torch.equal(one.layers[0].weight_hh, other.layers[0].weight_hh)


def test_forget_gates_begin_open_and_other_biases_at_zero() -> None:
    layer = make_layer("lstm", 3, 4, torch.float32)
    layer.initialise(torch.Generator().manual_seed(1))
    assert layer.bias.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8


def test_recurrent_weights_begin_orthogonal_gate_by_gate() -> None:
    layer = RecurrentLayer("gru", 3, 6)
    layer.initialise(torch.Generator().manual_seed(1))
    for gate in layer.weight_hh.detach().split(6):
        torch.testing.assert_close(gate @ gate.T, torch.eye(6), atol=1e-5, rtol=0)


def test_tied_weights_are_one_matrix_and_count_once() -> None:
    tied = LanguageModel.create(ModelConfig(hidden_size=8, tie_weights=True), 5, seed=1)
    free = LanguageModel.create(ModelConfig(hidden_size=8, tie_weights=False), 5, seed=1)
    assert tied.head.weight is tied.embedding.weight
    assert free.count_parameters() - tied.count_parameters() == 5 * 8


def test_first_loss_is_about_that_of_the_uniform_distribution() -> None:
    model = LanguageModel.create(
        ModelConfig(hidden_size=64, num_layers=2), vocab_size=50, seed=1
    ).eval()
    tokens = torch.randint(50, (4, 33), generator=torch.Generator().manual_seed(1))
    logits = model(tokens[:, :-1])[0].flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(logits, tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(50), rel=0.1)


def test_with_counts_a_model_begins_near_the_unigram_distribution() -> None:
    counts = torch.tensor([10, 0, 40, 50])
    model = LanguageModel.create(ModelConfig(hidden_size=16), 4, seed=1, counts=counts).eval()
    probabilities = model(torch.tensor([[2, 3, 0, 2]]))[0].softmax(-1)
    expected = (counts + 0.5) / 102
    torch.testing.assert_close(probabilities, expected.expand(1, 4, 4), atol=0.1, rtol=0)
    torch.testing.assert_close(model.head.bias.softmax(0), expected)


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_made_from_tensors_is_the_model_they_came_from(tied: bool) -> None:
    config = ModelConfig(cell="gru", hidden_size=8, num_layers=2, tie_weights=tied)
    model = LanguageModel.create(config, 5, seed=1).eval()
    tensors = {name: tensor.clone() for name, tensor in model.tensors().items()}
    again = LanguageModel.from_tensors(config, 5, tensors).eval()
    tokens = torch.tensor([[1, 2, 3, 4]])
    assert torch.equal(model(tokens)[0], again(tokens)[0])
    assert (again.head.weight is again.embedding.weight) == tied


@pytest.mark.parametrize("damage", ["missing", "extra", "shape", "dtype"])
def test_tensors_that_do_not_fit_are_refused(damage: str) -> None:
    config = ModelConfig(hidden_size=8)
    tensors = LanguageModel.create(config, 5, seed=1).tensors()
    name = "layers.0.weight_hh"
    if damage == "missing":
        del tensors[name]
    if damage == "extra":
        tensors["layers.1.weight_hh"] = tensors[name]
    if damage == "shape":
        tensors[name] = tensors[name].T
    if damage == "dtype":
        tensors[name] = tensors[name].double()
    with pytest.raises(ModelError, match="do not fit"):
        LanguageModel.from_tensors(config, 5, tensors)


def test_its_description_is_one_short_line() -> None:
    model = LanguageModel.create(ModelConfig(hidden_size=8, num_layers=2, cell="gru"), 7, seed=1)
    size = f"{model.count_parameters():,} parameters"
    assert repr(model) == f"<LanguageModel: 2 x 8 gru, vocabulary 7, {size}>"
