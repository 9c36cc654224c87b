"""Filters keep what their definitions say, draws follow the distribution, text comes whole."""

import math

import pytest
import torch

from charlm.config import ModelConfig
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.errors import ConfigError, TokenizerError
from charlm.inference.generation.filters import (
    Sampling,
    draw,
    filter_logits,
    keep_min_p,
    keep_top_k,
    keep_top_p,
)
from charlm.inference.generation.text import cut, generate
from charlm.inference.predictors.decoder import Decoder
from charlm.inference.predictors.predictor import Recurrent
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import evaluating

torch.set_num_threads(1)
FOUR = torch.tensor([[0.5, 0.25, 0.15, 0.1]]).log()


def kept(logits: torch.Tensor) -> list[bool]:
    return torch.isfinite(logits[0]).tolist()


@pytest.mark.parametrize(("k", "expected"), [(0, 4), (1, 1), (2, 2), (4, 4), (9, 4)])
def test_top_k_keeps_the_k_most_probable(k: int, expected: int) -> None:
    assert kept(keep_top_k(FOUR, k)) == [True] * expected + [False] * (4 - expected)


@pytest.mark.parametrize(("p", "expected"), [(1.0, 4), (0.01, 1), (0.5, 1), (0.6, 2), (0.8, 3)])
def test_top_p_keeps_the_smallest_set_of_that_probability(p: float, expected: int) -> None:
    assert kept(keep_top_p(FOUR, p)) == [True] * expected + [False] * (4 - expected)


@pytest.mark.parametrize(("p", "expected"), [(0.0, 4), (0.25, 3), (0.4, 2), (0.6, 1), (1.0, 1)])
def test_min_p_keeps_what_is_so_probable_relative_to_the_first(p: float, expected: int) -> None:
    assert kept(keep_min_p(FOUR, p)) == [True] * expected + [False] * (4 - expected)


def test_top_p_works_in_any_order() -> None:
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(keep_top_p(FOUR[:, order], 0.6), keep_top_p(FOUR, 0.6)[:, order])


def test_temperature_raises_probabilities_to_its_inverse() -> None:
    probabilities = filter_logits(FOUR, Sampling(temperature=0.5)).softmax(-1)
    squares = FOUR.exp().square()
    torch.testing.assert_close(probabilities, squares / squares.sum())


def test_temperature_zero_takes_the_most_probable() -> None:
    generator = torch.Generator().manual_seed(1)
    assert draw(FOUR, Sampling(temperature=0), generator).tolist() == [0]


def test_draws_follow_the_distribution() -> None:
    generator = torch.Generator().manual_seed(1)
    drawn = draw(FOUR.expand(20_000, 4), Sampling(), generator)
    shares = torch.bincount(drawn, minlength=4) / 20_000
    torch.testing.assert_close(shares, FOUR[0].exp(), atol=0.012, rtol=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -1),
        ("temperature", math.inf),
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
    with pytest.raises(ConfigError, match="--" + name.replace("_", "-")):
        Sampling(**{name: value})


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("tied", [True, False])
def test_decoder_equals_the_models_forward(cell: str, tied: bool) -> None:
    config = ModelConfig(cell=cell, hidden_size=12, num_layers=3, tie_weights=tied)
    model = LanguageModel.create(config, 7, seed=1).double().eval()
    tokens = torch.randint(7, (2, 9), generator=torch.Generator().manual_seed(1))
    with evaluating(model):
        whole = model(tokens)[0]
        decoder = Decoder(model, lanes=2)
        steps = [decoder.read(tokens[:, :4]), *(decoder.step(tokens[:, t]) for t in range(4, 9))]
    torch.testing.assert_close(torch.stack(steps, dim=1), whole[:, 3:])


def model_for(tokenizer: ByteTokenizer | CharTokenizer) -> Recurrent:
    config = ModelConfig(hidden_size=8)
    return Recurrent(LanguageModel.create(config, tokenizer.vocab_size, seed=1))


def test_same_seed_writes_the_same_text_and_another_one_other_text() -> None:
    tokenizer = CharTokenizer(list("abcdefgh "))
    model = model_for(tokenizer)
    texts = ["".join(generate(model, tokenizer, "ab", seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_length_counts_characters_exactly() -> None:
    tokenizer = CharTokenizer(list("abcdefgh"))
    model = model_for(tokenizer)
    model.network.head.bias.data[tokenizer.boundary_id] = -100  # it would end the text earlier
    assert len("".join(generate(model, tokenizer, length=123))) == 123
    assert "".join(generate(model, tokenizer, length=0)) == ""


def test_bytes_come_out_as_whole_characters_only() -> None:
    tokenizer = ByteTokenizer()
    model = model_for(tokenizer)
    model.network.head.bias.data[:] = -100
    for byte in "é日".encode():
        model.network.head.bias.data[byte + 1] = 0
    pieces = list(generate(model, tokenizer, length=200))
    assert "".join(pieces).encode().decode() == "".join(pieces)


def test_half_a_character_is_completed_in_byte_mode() -> None:
    tokenizer = ByteTokenizer()
    stream = tokenizer.stream()
    assert [stream.push(byte + 1) for byte in "é".encode()] == ["", "é"]


def test_the_boundary_ends_the_text() -> None:
    tokenizer = CharTokenizer(list("ab"))
    model = model_for(tokenizer)
    model.network.head.bias.data[tokenizer.boundary_id] = 100
    assert "".join(generate(model, tokenizer, length=50)) == ""


def test_the_unknown_symbol_is_never_written() -> None:
    tokenizer = CharTokenizer(list("ab"))
    model = model_for(tokenizer)
    model.network.head.bias.data[tokenizer.unknown_id] = 100
    model.network.head.bias.data[tokenizer.boundary_id] = -100
    assert set("".join(generate(model, tokenizer, length=50))) <= {"a", "b"}


def test_a_prompt_with_unknown_characters_is_refused_naming_them() -> None:
    tokenizer = CharTokenizer(list("ab"))
    with pytest.raises(TokenizerError, match=r"'z' \(2x\)"):
        next(generate(model_for(tokenizer), tokenizer, "azbz"))


@pytest.mark.parametrize(
    ("pieces", "length", "stop", "expected"),
    [
        (["ab", "cd", "ef"], 4, (), "abcd"),
        (["ab", "cd", "ef"], 3, (), "abc"),
        (["ab", "cd", "ef"], 99, (), "abcdef"),
        (["ab", "cd", "ef"], 99, ("cd",), "ab"),
        (["ab", "cd", "ef"], 99, ("bc",), "a"),
        (["ab", "cd", "ef"], 99, ("de", "bc"), "a"),
        (["ab", "cd", "ef"], 99, ("fg",), "abcdef"),
        (["ab", "cd", "ef"], 2, ("cd",), "ab"),
        (["a", "a", "a", "b"], 99, ("aab",), "a"),
    ],
)
def test_text_is_cut_at_length_or_before_a_stop_string(
    pieces: list[str], length: int, stop: tuple[str, ...], expected: str
) -> None:
    assert "".join(cut(iter(pieces), length, stop)) == expected


def test_what_cannot_begin_a_stop_string_is_not_held_back() -> None:
    emitted = cut(iter(["ab", "cd", "ef"]), 99, ("xyz",))
    assert next(emitted) == "ab"
