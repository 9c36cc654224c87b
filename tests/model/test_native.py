"""The compiled path equals the textbook's cells, whatever the processor, threads and sizes."""

import math

import pytest
import torch
from torch import Tensor

from charlm.config import ModelConfig
from charlm.errors import ModelError
from charlm.model import native, recurrence
from charlm.model.language_model import LanguageModel
from charlm.model.native.fused import scan
from charlm.model.native.library import Kernels
from charlm.model.recurrence import RecurrentLayer

SHAPES = [(1, 1, 1, 1), (5, 3, 7, 11), (16, 1, 4, 8), (3, 7, 70, 33), (140, 2, 5, 16)]
"""T, B, I, H: one of everything, partial vectors and panels, more rows than a packed chunk."""


pytestmark = pytest.mark.usefixtures("threads")


def case(shape: tuple[int, int, int, int]) -> tuple[RecurrentLayer, list[Tensor], Tensor]:
    """A layer, its inputs and first state, and the weights of a loss; laid out lanes first."""
    steps, lanes, size, hidden = shape
    layer = RecurrentLayer("lstm", size, hidden)
    generator = torch.Generator().manual_seed(5)
    layer.initialise(generator)
    shapes = (lanes, steps, size), (lanes, hidden), (lanes, hidden), (lanes, steps, hidden)
    inputs, h, c, weights = (torch.randn(shape, generator=generator) for shape in shapes)
    given = [inputs.transpose(0, 1).requires_grad_(), h.requires_grad_(), c.requires_grad_()]
    return layer, given, weights.transpose(0, 1)


def fused(kernels: Kernels, layer: RecurrentLayer, given: list[Tensor]) -> list[Tensor]:
    weights = (layer.weight_ih, layer.weight_hh, layer.bias)
    hidden, last = native.fused_lstm(kernels, given[0], (given[1], given[2]), weights)
    return [hidden, *last]


def with_gradients(outputs: list[Tensor], weights: Tensor, sources: list[Tensor]) -> list[Tensor]:
    """The outputs, and gradients of a loss in all of them, last state included."""
    loss = (outputs[0] * weights).sum() + outputs[1].square().sum() + outputs[2].sin().sum()
    return [*outputs, *torch.autograd.grad(loss, sources)]


def assert_equal(results: list[Tensor], expected: list[Tensor]) -> None:
    """Equal to a few parts in a million of the largest entry."""
    for one, other in zip(results, expected, strict=True):
        scale = max(float(other.detach().abs().max()), 1e-3)
        torch.testing.assert_close(one / scale, other / scale, atol=1e-5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_layer_and_all_its_gradients_equal_the_reference(
    kernels: Kernels, shape: tuple[int, int, int, int]
) -> None:
    layer, given, weights = case(shape)
    sources = [*given, *layer.parameters()]
    hidden, last = layer.reference(given[0], (given[1], given[2]))
    expected = with_gradients([hidden, *last], weights, sources)
    assert_equal(with_gradients(fused(kernels, layer, given), weights, sources), expected)


@pytest.mark.parametrize("shape", [(9, 7, 33, 50), (20, 32, 64, 64)])
def test_results_do_not_depend_on_the_number_of_threads(
    kernels: Kernels, shape: tuple[int, int, int, int]
) -> None:
    layer, given, weights = case(shape)
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        outputs = fused(kernels, layer, given)
        results.append(with_gradients(outputs, weights, [*given, *layer.parameters()]))
    for others in results[1:]:
        assert all(torch.equal(one, two) for one, two in zip(results[0], others, strict=True))


def test_a_lane_does_not_depend_on_the_others(kernels: Kernels) -> None:
    layer, given, _ = case((4, 13, 6, 20))
    together = fused(kernels, layer, given)[0]
    alone = fused(kernels, layer, [given[0][:, 5:6], given[1][5:6], given[2][5:6]])[0]
    assert torch.equal(together[:, 5:6], alone)


def test_a_second_way_back_through_the_graph_gives_the_same_gradients(kernels: Kernels) -> None:
    layer, given, weights = case((5, 3, 7, 11))
    loss = (fused(kernels, layer, given)[0] * weights).sum()
    sources = [*given, *layer.parameters()]
    first = torch.autograd.grad(loss, sources, retain_graph=True)
    second = torch.autograd.grad(loss, sources)
    assert all(torch.equal(one, two) for one, two in zip(first, second, strict=True))


def test_gradients_of_the_last_state_alone(kernels: Kernels) -> None:
    layer, given, _ = case((5, 3, 7, 11))
    sources = [*given, *layer.parameters()]
    results = []
    for last in (fused(kernels, layer, given)[1:], layer.reference(given[0], tuple(given[1:]))[1]):
        results.append(list(torch.autograd.grad(last[1].sum(), sources)))
    assert_equal(*results)


def test_tokens_into_an_embedding_give_what_its_rows_give(kernels: Kernels) -> None:
    layer, given, weights = case((12, 5, 7, 11))
    embedding = torch.randn(4, 7, generator=torch.Generator().manual_seed(1)).requires_grad_()
    tokens = torch.randint(4, (5, 12), generator=torch.Generator().manual_seed(2)).T
    sources = [embedding, *given[1:], *layer.parameters()]
    hidden, last = layer.reference(embedding[tokens], (given[1], given[2]))
    expected = with_gradients([hidden, *last], weights, sources)
    wide = (layer.weight_ih, layer.weight_hh, layer.bias)
    hidden, last = native.fused_lstm(kernels, embedding, (given[1], given[2]), wide, tokens)
    assert_equal(with_gradients([hidden, *last], weights, sources), expected)


def activations(kernels: Kernels, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """sigmoid(x) and tanh(x) (N, 16) of x (N,): the gates of 16 units whose input is x."""
    size, state = 16, torch.zeros(len(x), 16)
    weights = torch.ones(4 * size, 1), torch.zeros(4 * size, size), torch.zeros(4 * size)
    gates = scan(kernels, x[:, None], None, state, state, *weights).gates
    i, _, g, _ = gates.view(len(x), 4, size).unbind(dim=1)
    return i, g


def test_sigmoid_and_tanh_are_accurate_to_a_few_units_in_the_last_place(kernels: Kernels) -> None:
    small = torch.logspace(-30, 0, 20_000)
    x = torch.cat([torch.linspace(-86, 86, 200_000), small, -small]).contiguous()
    for some in x.split(20_000):
        sigmoids, tanhs = activations(kernels, some)
        exact = some.double()[:, None]
        for ours, wanted in ((sigmoids, exact.sigmoid()), (tanhs, exact.tanh())):
            assert float(((ours - wanted) / wanted).abs().max()) < 3e-7


def test_activations_saturate_and_pass_nan_on(kernels: Kernels) -> None:
    x = torch.tensor([math.inf, -math.inf, math.nan, 1e30, -1e30, 0.0])
    sigmoids, tanhs = activations(kernels, x)
    for unit in range(16):
        assert sigmoids[:, unit].tolist() == pytest.approx([1, 0, math.nan, 1, 0, 0.5], nan_ok=True)
        assert tanhs[:, unit].tolist() == pytest.approx([1, -1, math.nan, 1, -1, 0], nan_ok=True)


def test_every_variant_gives_a_training_step_that_equals_torchs(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurrence, "NATIVE_FROM", 1)
    monkeypatch.setattr(recurrence, "TABLE_FROM", 1)
    config = ModelConfig(hidden_size=70, num_layers=2, dropout=0.0)
    model = LanguageModel.create(config, vocab_size=9, seed=1).train()
    tokens = torch.randint(9, (4, 21), generator=torch.Generator().manual_seed(1))
    results = []
    for way in (kernels, None):
        monkeypatch.setattr(native, "kernels", lambda *_, way=way: way)
        logits, _ = model(tokens[:, :-1])
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        results.append([logits, *torch.autograd.grad(loss, list(model.parameters()))])
    assert_equal(*results)


def test_double_precision_and_training_of_small_layers_go_to_torch(
    kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "kernels", lambda *_: kernels)
    layer, (inputs, h, c), _ = case((2, 2, 3, 64))
    assert layer.native_kernels(inputs, (h, c), 1) is kernels
    assert layer.native_kernels(inputs, (h, c), 65) is None
    with torch.no_grad():
        assert layer.native_kernels(inputs, (h, c), 65) is kernels
    wide = [tensor.double() for tensor in (inputs, h, c)]
    assert layer.double().native_kernels(wide[0], (wide[1], wide[2]), 1) is None


def test_gradients_may_lie_in_memory_in_any_order(kernels: Kernels) -> None:
    """The gradient of a transposed product is itself a transposed view."""
    layer, given, _ = case((5, 3, 7, 11))
    weights = [torch.randn(11, 3, 5), torch.randn(11, 3), torch.randn(11, 3)]
    hidden, last = layer.reference(given[0], (given[1], given[2]))
    results = []
    for outputs in (fused(kernels, layer, given), [hidden, *last]):
        turned = (output.permute(*reversed(range(output.dim()))) for output in outputs)
        loss = sum((one * other).sum() for one, other in zip(turned, weights, strict=True))
        results.append(list(torch.autograd.grad(loss, [*given, *layer.parameters()])))
    assert_equal(*results)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_state_that_does_not_fit_is_refused(cell: str) -> None:
    layer = RecurrentLayer(cell, 3, 64)
    for lanes, size in ((1, 64), (2, 63)):
        state = tuple(torch.zeros(lanes, size) for _ in range(layer.cell.state_parts))
        with pytest.raises(ModelError, match=r"the layer needs .*2, 64"):
            layer(torch.zeros(5, 2, 3), state)


def test_denormals_stay_as_they_were_for_the_caller(kernels: Kernels) -> None:
    layer, given, _ = case((2, 2, 3, 4))
    fused(kernels, layer, given)
    assert float(torch.tensor(1e-40) * 0.5) > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_reading_without_gradients_equals_the_reference_and_leaves_training_alone(
    kernels: Kernels, shape: tuple[int, int, int, int]
) -> None:
    layer, given, weights = case(shape)
    before = with_gradients(fused(kernels, layer, given), weights, given)
    with torch.inference_mode():
        hidden, last = layer.reference(given[0], (given[1], given[2]))
        assert_equal(fused(kernels, layer, given), [hidden, *last])
    # The tensors that a walk leaves for the next one must do for training, too.
    after = with_gradients(fused(kernels, layer, given), weights, given)
    assert all(torch.equal(one, two) for one, two in zip(before, after, strict=True))


def test_few_lanes_of_a_large_layer_give_the_same_on_any_number_of_threads(
    kernels: Kernels,
) -> None:
    # So many weights and steps that the threads share the units and meet after each step.
    layer, given, _ = case((70, 2, 3, 260))
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        with torch.inference_mode():
            results.append(torch.cat([part.flatten() for part in fused(kernels, layer, given)]))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_single_step_without_gradients_equals_the_layers(cell: str) -> None:
    layer = RecurrentLayer(cell, 3, 20)
    layer.initialise(torch.Generator().manual_seed(1))
    inputs, state = torch.randn(2, 5, 3), layer.zero_state(5)
    with torch.inference_mode():
        first, between = layer(inputs[:1], state)
        second, last = layer(inputs[1:], between)
        hidden, expected = layer.reference(inputs, state)
    assert_equal([torch.cat([first, second]), *last], [hidden, *expected])
