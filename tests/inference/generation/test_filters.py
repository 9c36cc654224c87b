"""Filters keep what their definitions say, samples follow the distribution."""

import math

import numpy as np
import pytest
import torch

from charlm.config import GenerationConfig
from charlm.errors import ConfigError
from charlm.inference.generation.filters import (
    filter_logits,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    sample_from_uniforms,
    uniforms,
)

torch.set_num_threads(1)
FOUR = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()
LOGITS = FOUR.numpy()


def kept(logits: np.ndarray) -> list[bool]:
    found: list[bool] = np.isfinite(logits[0]).tolist()
    return found


@pytest.mark.parametrize(("k", "expected"), [(0, 4), (1, 1), (2, 2), (4, 4), (9, 4)])
def test_top_k_keeps_the_k_most_probable(k: int, expected: int) -> None:
    assert kept(keep_top_k(LOGITS, k)) == [True] * expected + [False] * (4 - expected)


@pytest.mark.parametrize(("p", "expected"), [(1.0, 4), (0.01, 1), (0.5, 1), (0.6, 2), (0.8, 3)])
def test_top_p_keeps_the_smallest_set_of_that_probability(p: float, expected: int) -> None:
    assert kept(keep_top_p(LOGITS, p)) == [True] * expected + [False] * (4 - expected)


@pytest.mark.parametrize(("p", "expected"), [(0.0, 4), (0.25, 3), (0.4, 2), (0.6, 1), (1.0, 1)])
def test_min_p_keeps_what_is_so_probable_relative_to_the_first(p: float, expected: int) -> None:
    assert kept(keep_min_p(LOGITS, p)) == [True] * expected + [False] * (4 - expected)


def test_top_p_works_in_any_order() -> None:
    order = [2, 0, 3, 1]
    np.testing.assert_array_equal(
        keep_top_p(LOGITS[:, order], 0.6), keep_top_p(LOGITS, 0.6)[:, order]
    )


def test_temperature_raises_probabilities_to_its_inverse() -> None:
    halved = filter_logits(LOGITS, GenerationConfig(temperature=0.5))
    probabilities = torch.from_numpy(halved).softmax(-1)
    squares = FOUR.exp().square()
    torch.testing.assert_close(probabilities, squares / squares.sum())


def test_temperature_zero_takes_the_most_probable() -> None:
    greedy = GenerationConfig(temperature=0)
    assert sample_from_uniforms(FOUR, greedy, torch.tensor([0.99])).tolist() == [0]


def test_samples_follow_the_distribution() -> None:
    numbers = uniforms(torch.Generator().manual_seed(1), 20_000)
    plain = GenerationConfig(temperature=1)
    drawn = sample_from_uniforms(FOUR.expand(20_000, 4), plain, numbers)
    shares = torch.bincount(drawn, minlength=4) / 20_000
    torch.testing.assert_close(shares, FOUR[0].exp(), atol=0.012, rtol=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -1),
        ("temperature", math.inf),
        ("temperature", 4e38),
        ("temperature", 1e-46),
        ("temperature", 1e-320),
        ("length", -5),
        ("top_k", -1),
        ("top_p", 0),
        ("top_p", 1.1),
        ("min_p", -0.1),
        ("min_p", 2),
        ("temperature", math.nan),
        ("top_p", math.nan),
    ],
)
def test_settings_out_of_range_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"generation.{name}.* must be "):
        GenerationConfig(**{name: value})


@pytest.mark.parametrize("temperature", [1e-6, 1e-3, 1e3, 1e6])
def test_every_temperature_in_range_gives_tokens(temperature: float) -> None:
    """The limits of the formula: nearly the most probable token, nearly all alike."""
    numbers = torch.linspace(0, 0.999, 100)
    config = GenerationConfig(temperature=temperature)
    drawn = sample_from_uniforms((FOUR * 100).expand(100, 4), config, numbers)
    shares = torch.bincount(drawn, minlength=4) / 100
    expected = [1.0, 0, 0, 0] if temperature < 1 else [0.25] * 4
    torch.testing.assert_close(shares, torch.tensor(expected), atol=0.05, rtol=0)
