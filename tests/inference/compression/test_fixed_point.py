"""The network in whole numbers: the reference's probabilities, the same bits everywhere."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import ModelConfig
from charlm.inference.compression import tables
from charlm.inference.compression.fixed_point import (
    LARGEST_CELL,
    FixedPointNetwork,
    Matrix,
    fits,
)
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import evaluating

torch.set_num_threads(1)
V = 40
SHAPES = [
    ("lstm", 1, True),
    ("lstm", 2, False),
    ("gru", 1, True),
    ("gru", 3, True),
    ("rnn", 2, True),
]


def network_of(cell: str, layers: int, tied: bool) -> LanguageModel:
    config = ModelConfig(cell=cell, num_layers=layers, hidden_size=24, tie_weights=tied)
    return LanguageModel.create(config, V, seed=2).eval()


def logits_of(network: LanguageModel, rows: np.ndarray) -> np.ndarray:
    """Logits (B, T, V) in whole numbers for tokens (B, T)."""
    return follow(FixedPointNetwork(network), rows)[0]


def follow(fixed: FixedPointNetwork, rows: np.ndarray) -> tuple[np.ndarray, Any]:
    """Logits (B, T, V) for tokens (B, T), and the state after them."""
    state, steps = fixed.start(len(rows)), []
    for column in torch.from_numpy(rows).T[:, :, None]:
        logits, state = fixed.advance(column, state)
        steps.append(logits)
    return torch.cat(steps, dim=1).numpy(), state


@pytest.mark.parametrize(("cell", "layers", "tied"), SHAPES)
def test_the_probabilities_are_the_models(cell: str, layers: int, tied: bool) -> None:
    network = network_of(cell, layers, tied)
    rows = np.random.default_rng(1).integers(0, V, (3, 50))
    found = torch.from_numpy(logits_of(network, rows)).log_softmax(-1)
    with evaluating(network):
        wanted = network(torch.from_numpy(rows))[0].double().log_softmax(-1)
    assert (found - wanted).abs().max() < 0.006  # a logit is rounded to 1/256


@pytest.mark.parametrize(("cell", "layers", "tied"), SHAPES)
def test_a_lane_does_not_depend_on_the_others(cell: str, layers: int, tied: bool) -> None:
    network = network_of(cell, layers, tied)
    rows = np.random.default_rng(1).integers(0, V, (13, 20))
    together = logits_of(network, rows)
    for lane in range(13):
        assert np.array_equal(together[lane : lane + 1], logits_of(network, rows[lane : lane + 1]))


def test_products_are_exact_in_any_order() -> None:
    """The largest weights and inputs there are, summed backwards and by Python's integers."""
    source = torch.Generator().manual_seed(1)
    matrix = Matrix(1e3 * torch.randn(5, 3000, generator=source), None, 16, 65536.0)
    x = np.random.default_rng(1).choice([-65536.0, 65536.0, 65535.0], (1, 3000))
    weight = matrix.weight.numpy()
    exact = [sum(int(a) * int(b) for a, b in zip(x[0], column, strict=True)) for column in weight.T]
    assert matrix.times(x)[0].tolist() == exact
    assert (x[:, ::-1] @ weight[::-1])[0].tolist() == exact


def test_a_network_with_more_in_it_does_not_fit() -> None:
    network = network_of("lstm", 1, True)
    with torch.no_grad():
        network.embedding.weight.mul_(5)
    assert fits(network)
    network.head.register_forward_hook(lambda module, inputs, output: 0.8 * output)
    assert not fits(network)
    for settings in ({"cell": "capped_lstm"}, {"softmaxes": 2}, {"mogrifier_rounds": 1}):
        another = ModelConfig(hidden_size=24, **settings)
        assert not fits(LanguageModel.create(another, V, seed=2).eval())


def test_states_that_grow_without_end_are_cut_off() -> None:
    network = network_of("lstm", 1, True)
    with torch.no_grad():
        network.recurrent_layers()[0].bias[:72] = 60.0  # every gate open, the candidate at one
    fixed = FixedPointNetwork(network)
    ((h, c),) = fixed.start(1)
    state: Any = ((h, c + LARGEST_CELL),)
    for _ in range(5):
        logits, state = fixed.advance(torch.tensor([[3]]), state)
        assert logits.isfinite().all()
    assert state[0][1].max() == LARGEST_CELL


def test_the_tables_hold_known_values() -> None:
    middle = tables.FLAT << tables.INPUT
    one = 1 << tables.GATE
    sigmoid, tanh, odds = tables.tables()
    assert (sigmoid[middle], tanh[middle]) == (one / 2, 0)
    assert (sigmoid[0], sigmoid[-1]) == (0, one)
    assert (tanh[0], tanh[-1]) == (-one, one)
    assert (odds[0], odds[-1]) == (1 << tables.ODDS, 0)
    assert odds[1 << tables.LOGIT] == round(2**tables.ODDS / np.e)


ELSEWHERE = """
import sys
from tests.inference.compression.test_fixed_point import network_of, some_rows, logits_of
sys.stdout.buffer.write(logits_of(network_of("lstm", 2, False), some_rows()).tobytes())
"""


def some_rows() -> np.ndarray:
    return np.random.default_rng(1).integers(0, V, (7, 30))


def test_other_instructions_give_the_same_bits() -> None:
    plain = {"ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], cwd=Path(__file__).parents[3], capture_output=True,
        env=os.environ | plain | {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"}, check=True,
    )  # fmt: skip
    assert done.stdout == logits_of(network_of("lstm", 2, False), some_rows()).tobytes()
