"""Filters beyond temperature, top-k, top-p and min-p: exact on four tokens, equal to references
that loop over tokens on random distributions, and never raising what was removed.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import GenerationConfig, ModelConfig
from charlm.inference.generation import filters, penalties
from charlm.inference.predictors.decoder import CompiledDecoder, open_decoder
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model import native
from charlm.model.language_model import LanguageModel
from charlm.model.native.sampling import LaneTexts

torch.set_num_threads(1)
FOUR = np.log(np.array([[0.5, 0.25, 0.15, 0.1]], dtype=np.float32))
Kept = Callable[[np.ndarray], set[int]]


def kept(logits: np.ndarray) -> list[bool]:
    found: list[bool] = np.isfinite(logits[0]).tolist()
    return found


def mask(count: int) -> list[bool]:
    return [True] * count + [False] * (4 - count)


@pytest.mark.parametrize(
    ("filtered", "expected"),
    [
        # Entropy 1.208 nats; surprises 0.693, 1.386, 1.897, 2.303: the nearest is the second.
        (filters.keep_typical(FOUR, 0.2), [False, True, False, False]),
        (filters.keep_typical(FOUR, 0.3), [True, True, False, False]),
        (filters.keep_typical(FOUR, 0.8), [True, True, True, False]),
        (filters.keep_epsilon(FOUR, 0.12), mask(3)),
        (filters.keep_epsilon(FOUR, 0.9), mask(1)),
        # sqrt(0.2) e^-1.208 = 0.1336 is less than 0.2
        (filters.keep_eta(FOUR, 0.2), mask(3)),
        (filters.keep_eta(FOUR, 0.1), mask(4)),
        # Deviation of the logits: 0.6015
        (filters.keep_top_n_sigma(FOUR, 1.0), mask(1)),
        (filters.keep_top_n_sigma(FOUR, 1.2), mask(2)),
        (filters.keep_top_n_sigma(FOUR, 2.1), mask(3)),
        (filters.exclude_top_choices(FOUR, 0.2), [False, True, True, True]),
        (filters.exclude_top_choices(FOUR, 0.12), [False, False, True, True]),
        (filters.exclude_top_choices(FOUR, 0.4), mask(4)),
        (filters.keep_surprise(FOUR, np.array([2.1])), mask(2)),
        (filters.keep_surprise(FOUR, np.array([-3.0])), mask(1)),
    ],
)
def test_filters_keep_what_their_definitions_say(
    filtered: np.ndarray, expected: list[bool]
) -> None:
    assert kept(filtered) == expected


def test_penalties_of_four_tokens_are_exact() -> None:
    counts = np.array([[2.0, 1.0, 0.0, 0.0]], dtype=np.float32)
    found = penalties.penalize_counts(FOUR, counts, 2.0, 0.5, 0.25)[0].tolist()
    p = FOUR[0].tolist()
    expected = [2 * p[0] - 1.0, 2 * p[1] - 0.75, p[2], p[3]]
    assert found == pytest.approx(expected, abs=1e-6)


def history_of(
    tokens: np.ndarray, vocab_size: int, *, breakers: np.ndarray | None = None, **settings: Any
) -> tuple[penalties.History, GenerationConfig]:
    """A history that has read the first three tokens at once, and the others one by one."""
    config = GenerationConfig(**settings)
    history = penalties.History(tokens[:, :3], vocab_size, config, breakers)
    for column in tokens[:, 3:].T:
        history.push(column)
    return history, config


def test_a_window_forgets_what_stood_before_it() -> None:
    tokens = np.random.default_rng(1).integers(1, 4, (2, 30))
    for settings in ({}, {"no_repeat_ngram": 3}, {"dry_multiplier": 0.5}):
        window: dict[str, Any] = {"penalty_window": 6, "repetition_penalty": 1.3, **settings}
        history, config = history_of(tokens, 4, **window)
        fresh, _ = history_of(tokens[:, -6:], 4, **window)
        assert (history.counts == fresh.counts).all()
        logits = np.tile(FOUR, (2, 1))
        expected = penalties.penalize(logits, fresh, config)
        assert penalties.penalize(logits, history, config).tolist() == expected.tolist()


TEXT = np.array([[1, 2, 3, 2, 1, 2]])
"""Ends with 1 2, which 3 has followed before; 2 has been followed by 1."""


def test_a_repetition_is_penalised_by_its_length_and_not_over_a_breaker() -> None:
    dry: dict[str, Any] = {"dry_multiplier": 0.5, "dry_base": 3.0, "dry_allowed_length": 1}
    history, config = history_of(TEXT, 4, **dry)
    assert history.unbroken[0, :6].tolist() == [0, 0, 2, 0, 1, 0]
    found = penalties.penalize_repetitions(FOUR, history, config) - FOUR
    # 3 goes on "1 2", which is two tokens; 1 goes on "2", which is one
    assert found[0].tolist() == pytest.approx([0, -0.5, 0, -1.5], abs=1e-6)
    history, config = history_of(TEXT, 4, breakers=np.arange(4) == 1, **dry)
    found = penalties.penalize_repetitions(FOUR, history, config) - FOUR
    assert found[0].tolist() == pytest.approx([0, -0.5, 0, -0.5], abs=1e-6)


def test_no_ngram_comes_twice_unless_nothing_else_is_left() -> None:
    history, _ = history_of(TEXT, 4, no_repeat_ngram=3)
    assert kept(penalties.exclude_repeated(FOUR, history, 3)) == [True, True, True, False]
    assert kept(penalties.exclude_repeated(FOUR, history, 2)) == [True, False, True, False]
    assert kept(penalties.exclude_repeated(FOUR, history, 1)) == [True, False, False, False]
    only = np.array([[-math.inf, 0.0, -math.inf, -math.inf]])
    np.testing.assert_array_equal(penalties.exclude_repeated(only, history, 1), only)


def by_mass(p: np.ndarray, order: list[int], share: float) -> set[int]:
    found: set[int] = set()
    for token in order:
        if sum(p[list(found)]) >= share:
            break
        found.add(token)
    return found


def entropy(p: np.ndarray) -> float:
    return -sum(x * math.log(x) for x in p)


REFERENCES: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], Kept]] = {
    "top_k": (
        lambda x, n: filters.keep_top_k(x, 5),
        lambda p: set(sorted(range(len(p)), key=lambda i: -p[i])[:5]),
    ),
    "top_p": (
        lambda x, n: filters.keep_top_p(x, 0.7),
        lambda p: by_mass(p, sorted(range(len(p)), key=lambda i: -p[i]), 0.7),
    ),
    "min_p": (
        lambda x, n: filters.keep_min_p(x, 0.2),
        lambda p: {i for i in range(len(p)) if p[i] >= 0.2 * max(p)},
    ),
    "typical": (
        lambda x, n: filters.keep_typical(x, 0.6),
        lambda p: by_mass(
            p, sorted(range(len(p)), key=lambda i: abs(-math.log(p[i]) - entropy(p))), 0.6
        ),
    ),
    "epsilon": (
        lambda x, n: filters.keep_epsilon(x, 0.05),
        lambda p: {i for i in range(len(p)) if p[i] >= min(0.05, max(p))},
    ),
    "eta": (
        lambda x, n: filters.keep_eta(x, 0.05),
        lambda p: {
            i
            for i in range(len(p))
            if p[i] >= min(0.05, math.sqrt(0.05) * math.exp(-entropy(p)), max(p))
        },
    ),
    "top_n_sigma": (
        lambda x, n: filters.keep_top_n_sigma(x, 0.8),
        lambda p: {
            i for i in range(len(p)) if math.log(p[i]) >= math.log(max(p)) - 0.8 * np.log(p).std()
        },
    ),
    "xtc": (
        lambda x, n: filters.exclude_top_choices(x, 0.08),
        lambda p: (
            set(range(len(p)))
            - set(sorted((i for i in range(len(p)) if p[i] >= 0.08), key=lambda i: p[i])[1:])
        ),
    ),
    "mirostat": (
        lambda x, n: filters.keep_surprise(x, np.full(len(x), 3.0)),
        lambda p: {i for i in range(len(p)) if -math.log2(p[i]) <= 3 or p[i] == max(p)},
    ),
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_filter_equals_its_reference_and_keeps_the_ratios_of_the_rest(name: str) -> None:
    apply, reference = REFERENCES[name]
    logits = (torch.randn(1000, 13, generator=torch.Generator().manual_seed(3)) * 2).double()
    log_probs = logits.log_softmax(-1).numpy()
    filtered = apply(log_probs, 0)
    for row, found in zip(np.exp(log_probs), filtered, strict=True):
        assert set(np.flatnonzero(found > -math.inf).tolist()) == reference(row)
    left = filtered > -math.inf
    np.testing.assert_array_equal(filtered[left], log_probs[left])
    without = np.where(left, log_probs, -math.inf)
    assert not (apply(without, 0) > -math.inf)[~left].any(), "nothing comes back"


COMPILED: dict[str, dict[str, float]] = {
    "top_k": {"top_k": 5}, "top_p": {"top_p": 0.7}, "min_p": {"min_p": 0.2},
    "typical": {"typical_p": 0.6}, "epsilon": {"epsilon_cutoff": 0.05},
    "eta": {"eta_cutoff": 0.05}, "top_n_sigma": {"top_n_sigma": 0.8},
    "xtc": {"xtc_probability": 1, "xtc_threshold": 0.08}, "mirostat": {"mirostat_tau": 1.5},
}  # fmt: skip
"""The settings of ``REFERENCES``; mirostat begins with a surprise of twice ``mirostat_tau``."""


@pytest.mark.parametrize("name", REFERENCES)
def test_the_compiled_decoder_samples_from_what_the_reference_keeps(name: str) -> None:
    config = GenerationConfig(temperature=1, **COMPILED[name])  # type: ignore[arg-type]
    network = LanguageModel.create(ModelConfig(hidden_size=2), 13, seed=1)
    decoder = open_decoder(Recurrent(network), 1000)
    if not isinstance(decoder, CompiledDecoder):
        pytest.skip(f"the native decoder is not there: {native.status()}")
    logits = torch.randn(1000, 13, generator=torch.Generator().manual_seed(3)) * 2
    rows = logits.double().softmax(-1).numpy()
    kept = [sorted(REFERENCES[name][1](row)) for row in rows]
    for number in np.linspace(0.001, 0.999, 23):
        decoder.stack.logits.copy_(logits)
        uniforms = torch.full((1000, 1), float(number), dtype=torch.float64)
        limit = np.full(1000, 2 * config.mirostat_tau)
        texts = LaneTexts(limit=limit.ctypes.data) if config.mirostat_tau else None
        found = decoder.sample(uniforms, torch.zeros(13), config, texts)[0][:, 0].tolist()
        for row, tokens, token in zip(rows, kept, found, strict=True):
            sums = np.cumsum(row[tokens])
            assert token == tokens[int(np.searchsorted(sums, number * sums[-1], side="right"))]


def counted(tokens: list[int], p: np.ndarray, config: GenerationConfig) -> np.ndarray:
    """The penalties by loops over the text."""
    log_p = np.log(p)
    for token in set(tokens) - {0}:
        log_p[token] *= config.repetition_penalty
        log_p[token] -= config.presence_penalty + config.frequency_penalty * tokens.count(token)
    for token in range(1, len(p)):
        longest = 0
        for at in (at for at in range(len(tokens)) if tokens[at] == token):
            length = 0
            while length < at and tokens[at - 1 - length] == tokens[-1 - length] != 0:
                length += 1
            longest = max(longest, length)
        if longest >= config.dry_allowed_length and longest:
            power = config.dry_base ** (longest - config.dry_allowed_length)
            log_p[token] -= config.dry_multiplier * power
    n = config.no_repeat_ngram
    grams = {tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1)}
    grams = {gram for gram in grams if 0 not in gram}
    banned = [t for t in range(1, len(p)) if (*tokens[len(tokens) - n + 1 :], t) in grams]
    if len(banned) < len(p):
        log_p[banned] = -math.inf
    return log_p


def test_penalties_equal_loops_over_random_texts() -> None:
    generator = torch.Generator().manual_seed(5)
    tokens = torch.randint(0, 4, (1000, 12), generator=generator).numpy()
    log_probs = torch.randn(1000, 6, generator=generator).double().log_softmax(-1).numpy()
    history, config = history_of(
        tokens, 6, repetition_penalty=1.3, presence_penalty=0.2, frequency_penalty=0.1,
        dry_multiplier=0.6, dry_allowed_length=1, no_repeat_ngram=3, penalty_window=9,
        dry_breakers="",
    )  # fmt: skip
    found = penalties.penalize(log_probs, history, config)
    for row, text, p in zip(found, tokens[:, -9:].tolist(), np.exp(log_probs), strict=True):
        np.testing.assert_allclose(row, counted(text, p, config), atol=1e-6)


def test_neutral_values_change_nothing_bit_for_bit() -> None:
    logits = torch.randn(50, 9, generator=torch.Generator().manual_seed(6)).numpy()
    plain = GenerationConfig(temperature=1)
    np.testing.assert_array_equal(filters.filter_logits(logits, plain), logits)
    history, _ = history_of(torch.randint(0, 9, (50, 20)).numpy(), 9)
    assert penalties.penalize(logits, history, plain) is logits
    numbers = torch.rand(50, dtype=torch.float64).numpy()
    same, left = filters.filter_by_chance(logits, plain, numbers)
    assert same is logits
    assert left is numbers


def test_xtc_applies_as_often_as_it_says_and_leaves_uniform_numbers() -> None:
    config = GenerationConfig(xtc_probability=0.3, xtc_threshold=0.2)
    generator = torch.Generator().manual_seed(7)
    numbers = torch.rand(4000, generator=generator, dtype=torch.float64).numpy()
    logits, left = filters.filter_by_chance(np.broadcast_to(FOUR, (4000, 4)), config, numbers)
    applied = np.isinf(logits[:, 0])
    assert float(applied.mean()) == pytest.approx(0.3, abs=0.03)
    for part in (left[applied], left[~applied]):
        assert float(part.mean()) == pytest.approx(0.5, abs=0.03)
        assert 0 <= float(part.min()) <= float(part.max()) < 1
