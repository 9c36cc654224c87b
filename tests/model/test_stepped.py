"""Cells without a fused kernel: their equations, their laws, and the LSTM they come from."""

import math

import pytest
import torch
from torch import nn

from charlm.config import ModelConfig
from charlm.errors import ConfigError
from charlm.model.affine import initialise_affine
from charlm.model.cells import CELLS, mogrify
from charlm.model.recurrence import RecurrentLayer
from charlm.model.stepped import SteppedLayer

torch.set_num_threads(1)
VARIANTS = {
    "capped_lstm": ("capped_lstm",),
    "cifg": ("cifg",),
    "layer_norm_lstm": ("layer_norm_lstm",),
    "mogrifier": ("lstm", 0.0, 5, None),
    "mogrifier of low rank": ("lstm", 0.0, 4, 2),
    "mogrifier gru": ("gru", 0.0, 2, None),
    "mogrifier, normalised": ("layer_norm_lstm", 0.0, 3, None),
}


def make_layer(variant: str, inputs: int = 3, hidden: int = 4) -> SteppedLayer:
    cell, *options = VARIANTS[variant]
    layer = SteppedLayer(cell, inputs, hidden, *options).double()
    generator = torch.Generator().manual_seed(3)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.5, generator=generator)
    return layer


def sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def one_step(cell: str, gates: list[float], c: float, *extras: torch.Tensor) -> tuple[float, float]:
    """h and c of a cell of one unit that has c and h = 0.5; its recurrent weights are 2."""
    state = torch.tensor([[0.5]]), torch.tensor([[c]])
    weight_hh = torch.full((len(gates), 1), 2.0)
    h, c_after = CELLS[cell].step(torch.tensor([gates]), state, weight_hh, *extras)
    return h.item(), c_after.item()


def test_the_capped_gate_is_at_most_one_minus_forget() -> None:
    for i in (-1.0, 3.0):
        f, g, o = 0.5, -0.7, 0.2
        gate = min(sigma(i + 1), 1 - sigma(f + 1))
        c = sigma(f + 1) * 0.3 + gate * math.tanh(g + 1)
        expected = (sigma(o + 1) * math.tanh(c), c)
        assert one_step("capped_lstm", [i, f, g, o], 0.3) == pytest.approx(expected, abs=1e-6)


def test_the_coupled_gate_is_one_minus_forget() -> None:
    f, g, o = 0.5, -0.7, 0.2
    c = sigma(f + 1) * 0.3 + (1 - sigma(f + 1)) * math.tanh(g + 1)
    expected = (sigma(o + 1) * math.tanh(c), c)
    assert one_step("cifg", [f, g, o], 0.3) == pytest.approx(expected, abs=1e-6)


def test_the_normalised_cell_is_that_of_the_paper() -> None:
    """Two units, so that there is something to normalise; in plain numbers."""
    layer = make_layer("layer_norm_lstm", inputs=1, hidden=2)
    x, h, c = [0.7], [0.2, -0.4], [0.5, 1.5]
    p = {name: parameter.tolist() for name, parameter in layer.named_parameters()}

    def normal(values: list[float]) -> list[float]:
        mean = sum(values) / len(values)
        variance = sum((v - mean) ** 2 for v in values) / len(values)
        return [(v - mean) / math.sqrt(variance + 1e-5) for v in values]

    def product(matrix: list[list[float]], vector: list[float]) -> list[float]:
        return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]

    from_x, from_h = normal(product(p["weight_ih"], x)), normal(product(p["weight_hh"], h))
    gates = [
        p["gain_x"][n] * from_x[n] + p["gain_h"][n] * from_h[n] + p["bias"][n] for n in range(8)
    ]
    i, f, g, o = gates[:2], gates[2:4], gates[4:6], gates[6:]
    after = [sigma(f[n]) * c[n] + sigma(i[n]) * math.tanh(g[n]) for n in range(2)]
    out = [p["gain_c"][n] * v + p["bias_c"][n] for n, v in enumerate(normal(after))]
    hidden = [sigma(o[n]) * math.tanh(out[n]) for n in range(2)]
    state = tuple(torch.tensor([part], dtype=torch.float64) for part in (h, c))
    got = layer.step(layer.project(torch.tensor([x], dtype=torch.float64)), state)
    assert got[0][0].tolist() == pytest.approx(hidden)
    assert got[1][0].tolist() == pytest.approx(after)


def test_mogrifying_alternates_between_input_and_state() -> None:
    """x and h of one number each; the rounds multiply by 1, 2 and 3."""
    rounds = [lambda v, factor=factor: factor * v for factor in (1, 2, 3)]
    x, h = mogrify(torch.tensor([0.4]), torch.tensor([-0.6]), rounds)
    x_1 = 2 * sigma(-0.6) * 0.4
    h_2 = 2 * sigma(2 * x_1) * -0.6
    x_3 = 2 * sigma(3 * h_2) * x_1
    assert (x.item(), h.item()) == pytest.approx((x_3, h_2))


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_gradients_are_those_of_the_function(variant: str) -> None:
    layer = make_layer(variant)
    inputs = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(2, 4, dtype=torch.float64) for _ in range(layer.cell.state_parts))
    names = [name for name, _ in layer.named_parameters()]

    def walk(inputs: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        parameters = dict(zip(names, weights, strict=True))
        hidden, last = torch.func.functional_call(layer, parameters, (inputs, state))
        return hidden, *last

    assert torch.autograd.gradcheck(walk, (inputs, *layer.parameters()))


@pytest.mark.parametrize("variant", list(VARIANTS))
@pytest.mark.parametrize("vocab_size", [2, 50])
def test_tokens_give_what_their_embeddings_give(variant: str, vocab_size: int) -> None:
    layer = make_layer(variant)
    embedding = torch.randn(vocab_size, 3, dtype=torch.float64)
    ids, state = torch.randint(2, (5, 2)), layer.zero_state(2)
    by_tokens = layer(embedding, state, ids)
    torch.testing.assert_close(by_tokens, layer(embedding[ids], state))


def test_without_rounds_it_is_the_lstm() -> None:
    plain, stepped = RecurrentLayer("lstm", 3, 4), SteppedLayer("lstm", 3, 4)
    for layer in (plain, stepped):
        layer.initialise(torch.Generator().manual_seed(1))
    inputs, state = torch.randn(6, 2, 3), plain.zero_state(2)
    torch.testing.assert_close(stepped(inputs, state), plain(inputs, state))


def test_a_mogrifier_of_zeros_is_the_lstm() -> None:
    layer = make_layer("mogrifier")
    plain = RecurrentLayer("lstm", 3, 4).double()
    plain.load_state_dict(layer.state_dict(), strict=False)
    for parameter in layer.mogrifier.parameters():
        nn.init.zeros_(parameter)
    inputs = torch.randn(6, 2, 3, dtype=torch.float64)
    state = layer.zero_state(2)
    torch.testing.assert_close(layer(inputs, state), plain(inputs, state))


def test_low_rank_is_the_full_matrix_of_the_product() -> None:
    low, full = (SteppedLayer("lstm", 3, 4, 0.0, 2, rank) for rank in (2, None))
    for layer in (low, full):
        layer.initialise(torch.Generator().manual_seed(1))
    initialise_affine(low.mogrifier, torch.Generator().manual_seed(2))
    with torch.no_grad():
        for (right, left), whole in zip(low.mogrifier, full.mogrifier, strict=True):
            whole.weight.copy_(left.weight @ right.weight)
            whole.bias.copy_(left.bias)
    inputs, state = torch.randn(6, 2, 3), low.zero_state(2)
    torch.testing.assert_close(low(inputs, state), full(inputs, state))


def test_a_fresh_mogrifier_gates_around_one() -> None:
    layer = SteppedLayer("lstm", 64, 64, 0.0, 5)
    initialise_affine(layer.mogrifier, torch.Generator().manual_seed(2))
    x, h = torch.ones(100, 64), 0.1 * torch.ones(100, 64)
    mogrified = mogrify(x, h, layer.mogrifier)
    for before, after in zip((x, h), mogrified, strict=True):
        assert 0.5 < (after / before).mean() < 1.5


def test_scaling_the_weights_of_a_normalised_cell_changes_nothing() -> None:
    layer = make_layer("layer_norm_lstm")
    inputs, state = torch.randn(6, 2, 3, dtype=torch.float64), layer.zero_state(2)
    before = layer(inputs, state)
    with torch.no_grad():
        for matrix in (layer.weight_ih, layer.weight_hh):
            matrix.mul_(1000 / matrix.std())
        scaled = layer(inputs, state)
        for matrix in (layer.weight_ih, layer.weight_hh):
            matrix.mul_(7)
    torch.testing.assert_close(layer(inputs, state), scaled, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(before[0], scaled[0], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize("cell", ["capped_lstm", "cifg"])
def test_the_cell_state_stays_within_one(cell: str) -> None:
    layer = SteppedLayer(cell, 3, 4)
    layer.initialise(torch.Generator().manual_seed(1))
    _, (_, c) = layer(torch.full((300, 2, 3), 50.0), layer.zero_state(2))
    assert c.abs().max() <= 1


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"mogrifier_rank": 4}, r"`model.mogrifier_rank=4`.*`model.mogrifier_rounds=0`"),
        ({"connections": "skip"}, r"`model.connections='skip'`.*`model.num_layers=1`"),
        (
            {"softmaxes": 3, "adaptive_softmax": True},
            r"`model.adaptive_softmax` and `model.softmaxes` contradict",
        ),
    ],
)
def test_what_cannot_work_is_refused_naming_both(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        ModelConfig(**settings)
