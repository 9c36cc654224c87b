"""Beam search and filling find what enumeration of all texts finds."""

import math
from itertools import product

import numpy as np
import pytest
import torch

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.errors import ConfigError
from charlm.inference.generation.modes import write_texts
from charlm.inference.generation.search.beam import beam_samples
from charlm.inference.generation.search.filling import fill
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel

torch.set_num_threads(1)
LETTERS = CharTokenizer(list("ab "))


@pytest.fixture(params=range(3))
def model(request: pytest.FixtureRequest) -> Recurrent:
    config = ModelConfig(hidden_size=6, num_layers=1, tie_weights=False)
    network = LanguageModel.create(config, LETTERS.vocab_size, seed=request.param)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, generator=torch.Generator().manual_seed(request.param))
    return Recurrent(network)


def log_prob(model: Recurrent, ids: list[int], given: int) -> float:
    """Of the ids after the first ``given``."""
    nll, _ = model.nll(torch.tensor([ids]), model.start())
    return -float(nll[0, given - 1 :].sum())


def all_texts(length: int) -> list[list[int]]:
    """Every text of so many tokens, or shorter with a boundary at its end."""
    letters = [2, 3, 4]
    whole = [list(text) for text in product(letters, repeat=length)]
    ended = [[*t, 0] for n in range(length) for t in product(letters, repeat=n)]
    return whole + ended


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_of_all_texts(model: Recurrent, power: float) -> None:
    prompt = [0, *map(int, LETTERS.encode("ab"))]
    scored = {
        tuple(text): log_prob(model, prompt + text, 3) / len(text) ** power for text in all_texts(4)
    }
    expected = sorted(scored, key=lambda text: -scored[text])[:3]
    config = GenerationConfig(length=4, length_penalty=power)
    found = beam_samples(model, LETTERS, "ab", config, width=200, count=3)
    texts = ["".join(sample) for sample in found]
    assert texts == [LETTERS.decode(text) for text in expected]
    totals = [sample.log_prob for sample in found]
    wanted = [scored[text] * len(text) ** power for text in expected]
    # A boundary is no text: its log-probability is not among those of the tokens.
    for total, want, text in zip(totals, wanted, expected, strict=True):
        if text[-1]:
            assert total == pytest.approx(want, abs=1e-4)


def test_a_beam_of_one_is_greedy(model: Recurrent) -> None:
    config = GenerationConfig(length=6, temperature=0)
    (greedy,) = write_texts(model, LETTERS, ["a"], config, seeds=[1])
    (beam,) = write_texts(model, LETTERS, ["a"], config, seeds=[1], beam=1)
    assert "".join(beam) == "".join(greedy)


def test_filling_equals_enumeration(model: Recurrent) -> None:
    left, right = ([*map(int, LETTERS.encode(part))] for part in ("a", "b a"))
    fills = [list(t) for n in (1, 2, 3) for t in product([2, 3, 4], repeat=n)]
    scored = {
        LETTERS.decode(content): log_prob(model, [0, *left, *content, *right], 2)
        for content in fills
    }
    expected = sorted(scored, key=lambda content: -scored[content])[:4]
    config = GenerationConfig()
    found = fill(model, LETTERS, "a___b a", config, gap_length=3, width=200, count=4)
    assert [each.fills for each in found] == [(content,) for content in expected]
    assert [each.text for each in found] == [f"a{content}b a" for content in expected]
    assert [each.log_prob for each in found] == pytest.approx(
        [scored[content] for content in expected], abs=1e-4
    )


def test_the_best_of_several_has_the_largest_mean_log_probability(model: Recurrent) -> None:
    config = GenerationConfig(length=12, temperature=1)
    (best,) = write_texts(model, LETTERS, ["a"], config, seeds=[5], best_of=8)
    text = "".join(best)
    alone = write_texts(model, LETTERS, ["a"], config, seeds=range(5, 13))
    means = {}
    for sample in alone:
        content = "".join(sample)
        if sample.written:
            means[content] = np.mean([token.log_prob for token in sample.written])
    assert means[text] == max(means.values())
    assert best.log_prob / len(best.written) == pytest.approx(means[text])


@pytest.mark.parametrize("how", [{}, {"best_of": 3}, {"beam": 3}])
def test_a_text_that_a_pattern_ends_says_so(model: Recurrent, how: dict[str, int]) -> None:
    config = GenerationConfig(length=9, pattern="[ab]{2}")
    (sample,) = write_texts(model, LETTERS, [""], config, seeds=[1], **how)
    assert len("".join(sample)) == 2
    assert sample.finish == "end"
    assert sample.constrained


def test_log_probabilities_of_a_text_are_those_of_scoring(model: Recurrent) -> None:
    config = GenerationConfig(length=20, temperature=0.7, top_k=2)
    (sample,) = write_texts(model, LETTERS, ["ab"], config, seeds=[3])
    text = "".join(sample)
    assert "".join(token.text for token in sample.written) == text
    ids = [0, *map(int, LETTERS.encode("ab" + text))]
    assert sample.log_prob == pytest.approx(log_prob(model, ids, 3), abs=1e-3)
    assert math.isfinite(sample.log_prob)


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        ("no gap", {}, "the text has no gap"),
        ("a___b", {"gap_length": 201}, "`gap_length` must be from 1 to 200"),
        ("a___b", {"width": 0}, "`beam` must be from"),
    ],
)
def test_gaps_that_cannot_be_filled_are_refused(
    model: Recurrent, text: str, given: dict[str, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        fill(model, LETTERS, text, GenerationConfig(), **given)
