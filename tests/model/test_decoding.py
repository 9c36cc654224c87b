"""A packed stack equals the model's forward, alone or among others, and draws as it is told."""

import math

import pytest
import torch
from torch import Tensor

from charlm.config import GenerationConfig, ModelConfig
from charlm.inference.generation.filters import sample_from_uniforms
from charlm.inference.predictors.decoder import CompiledDecoder, plain_weights
from charlm.model.language_model import LanguageModel
from charlm.model.likelihood import evaluating
from charlm.model.native import stack as stacks
from charlm.model.native.library import Kernels
from charlm.model.native.stack import NativeStack

pytestmark = pytest.mark.usefixtures("threads")

PLAIN = GenerationConfig(temperature=1)
SHAPES = [(1, 1, 2), (2, 19, 9), (3, 70, 33), (1, 33, 1100)]
"""Layers, H, V: one of everything, partial vectors and panels, and too many tokens for a table."""


def model_of(layers: int, hidden: int, vocab: int) -> LanguageModel:
    """A model whose logits are far from flat."""
    config = ModelConfig(
        num_layers=layers, hidden_size=hidden, embedding_size=hidden + 3, tie_weights=False
    )
    model = LanguageModel.create(config, vocab, seed=1)
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(2))
    return model


def stack_of(kernels: Kernels, model: LanguageModel, lanes: int, bits: int = 32) -> NativeStack:
    weights = plain_weights(model)
    assert weights is not None
    return NativeStack(kernels, weights, lanes, bits)


def tokens_of(model: LanguageModel, lanes: int, steps: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.randint(model.vocab_size, (lanes, steps), generator=generator)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lanes", [1, 7, 64])
def test_every_step_equals_the_models_forward(
    kernels: Kernels, shape: tuple[int, int, int], lanes: int
) -> None:
    model = model_of(*shape)
    tokens, stack = tokens_of(model, lanes, 6), stack_of(kernels, model, lanes)
    with evaluating(model):
        whole = model(tokens)[0]
    read = [stack.read(tokens[:, :3]).clone(), *(stack.read(tokens[:, t : t + 1]).clone()
                                                 for t in range(3, 6))]  # fmt: skip
    torch.testing.assert_close(torch.stack(read, dim=1), whole[:, 2:], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("bits", [32, 16, 8])
def test_a_lane_does_not_depend_on_the_others(kernels: Kernels, bits: int) -> None:
    model = model_of(2, 19, 9)
    tokens = tokens_of(model, 13, 5)
    together = stack_of(kernels, model, 13, bits).read(tokens)
    alone = stack_of(kernels, model, 1, bits).read(tokens[5:6])
    assert torch.equal(together[5:6], alone)


@pytest.mark.parametrize(("hidden", "lanes"), [(300, 1), (300, 4), (64, 40)])
def test_results_do_not_depend_on_the_number_of_threads(
    kernels: Kernels, hidden: int, lanes: int
) -> None:
    # So many bytes that with few lanes the threads share the units of each step.
    model = model_of(2, hidden, 50)
    tokens, results = tokens_of(model, lanes, 16), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        stack = stack_of(kernels, model, lanes)
        results.append(stack.read(tokens).clone())
        uniforms = torch.rand(lanes, 16, generator=torch.Generator().manual_seed(1)).double()
        results += CompiledDecoder(stack).sample(uniforms, torch.zeros(50), PLAIN)
    assert all(torch.equal(results[n], results[n % 3]) for n in range(3, 9))


def test_bfloat16_computes_with_weights_rounded_to_it(kernels: Kernels) -> None:
    model = model_of(2, 33, 1100)  # without a table, so that all products are rounded
    tokens = tokens_of(model, 3, 4)
    rounded = stack_of(kernels, model, 3, 16).read(tokens)
    for name, weight in model.named_parameters():
        if "weight" in name and "embedding" not in name:
            weight.data = weight.data.bfloat16().float()
    assert torch.equal(rounded, stack_of(kernels, model, 3).read(tokens))


@pytest.mark.parametrize(("bits", "close"), [(16, 0.06), (8, 0.15)])
def test_rounded_weights_stay_close(kernels: Kernels, bits: int, close: float) -> None:
    model = model_of(2, 70, 33)
    tokens = tokens_of(model, 5, 20)
    exact, rounded = (stack_of(kernels, model, 5, n).read(tokens) for n in (32, bits))
    assert 0 < float((exact - rounded).abs().max()) < close


def test_whole_numbers_are_exact_where_the_weights_are_multiples_of_one(kernels: Kernels) -> None:
    model = model_of(1, 20, 9)
    for weight in (model.layers[0].weight_hh, model.head.weight):
        weight.data = torch.randint(-127, 128, weight.shape).float()
        weight.data[:, 0] = 127.0
        weight.data /= 128
    tokens = tokens_of(model, 2, 6)
    exact, rounded = (stack_of(kernels, model, 2, bits).read(tokens) for bits in (32, 8))
    torch.testing.assert_close(exact, rounded, atol=1e-5, rtol=1e-5)


RULES = [
    PLAIN,
    GenerationConfig(temperature=0.5),
    GenerationConfig(temperature=0),
    GenerationConfig(temperature=1, top_k=5),
    GenerationConfig(temperature=1, top_k=1),
    GenerationConfig(temperature=1, top_p=0.7),
    GenerationConfig(temperature=1, top_p=1e-6),
    GenerationConfig(temperature=1, min_p=0.2),
    GenerationConfig(temperature=1.3, top_k=9, top_p=0.8, min_p=0.05),
]


@pytest.mark.parametrize("vocab", [2, 33, 300])
@pytest.mark.parametrize("rule", RULES)
def test_draws_are_those_of_the_filters_for_the_same_uniforms(
    kernels: Kernels, rule: GenerationConfig, vocab: int
) -> None:
    stack = stack_of(kernels, model_of(1, 4, vocab), 200)
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(200, vocab, generator=generator) * 3
    banned = torch.zeros(vocab)
    banned[1] = -math.inf
    uniforms = torch.rand(200, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    expected = sample_from_uniforms(logits + banned, rule, uniforms)
    stack.logits.copy_(logits)
    drawn = CompiledDecoder(stack).sample(uniforms[:, None], banned, rule)[0][:, 0]
    assert torch.equal(drawn, expected)
    assert 1 not in drawn


def test_writing_reads_what_it_has_drawn(kernels: Kernels) -> None:
    model = model_of(2, 19, 9)
    writer, reader = (CompiledDecoder(stack_of(kernels, model, 2)) for _ in range(2))
    for decoder in (writer, reader):
        decoder.advance(tokens_of(model, 2, 3))
    uniforms = torch.rand(2, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    written, _ = writer.sample(uniforms, torch.zeros(9), PLAIN)
    assert torch.equal(writer.log_probs, reader.advance(written))


def test_lanes_are_taken_several_times_and_left_out(kernels: Kernels) -> None:
    model = model_of(2, 19, 9)
    decoder, tokens = CompiledDecoder(stack_of(kernels, model, 3)), tokens_of(model, 3, 6)
    decoder.advance(tokens[:, :3])
    lanes = torch.tensor([2, 0, 2])
    decoder.select(lanes)
    with evaluating(model):
        logits = model(torch.cat([tokens[lanes, :3], tokens[:, 3:]], dim=1))[0][:, -1]
    expected = logits.log_softmax(-1)
    torch.testing.assert_close(decoder.advance(tokens[:, 3:]), expected, atol=2e-5, rtol=1e-5)


def test_a_token_that_is_none_is_refused_and_changes_nothing(kernels: Kernels) -> None:
    stack = stack_of(kernels, model_of(1, 4, 9), 1)
    before = stack.read(torch.tensor([[1]])).clone()
    for token in (-1, 9):
        with pytest.raises(IndexError, match="vocabulary of 9"):
            stack.read(torch.tensor([[2, token]]))
    assert torch.equal(stack.logits, before)


@pytest.mark.parametrize(
    "rule",
    [
        PLAIN,
        GenerationConfig(temperature=0),
        GenerationConfig(temperature=1, top_k=2, top_p=0.5),
    ],
)
@pytest.mark.parametrize("logits", [[math.nan] * 3, [1.0, math.nan, 2.0], [math.inf, 0.0, 0.0]])
def test_logits_that_are_not_numbers_give_no_token(
    kernels: Kernels, rule: GenerationConfig, logits: list[float]
) -> None:
    if rule.temperature == 0 and math.inf in logits:
        pytest.skip("infinity is the largest")
    stack = stack_of(kernels, model_of(1, 4, 3), 1)
    stack.logits.copy_(torch.tensor([logits]))
    uniforms = torch.full((1, 2), 0.5, dtype=torch.float64)
    assert CompiledDecoder(stack).sample(uniforms, torch.zeros(3), rule)[0][0, 0] == -1


def test_packed_words_hold_the_first_vector_in_the_lowest_bits() -> None:
    vectors = torch.tensor([[[1.0], [-2.0], [3.0], [-4.0]]])
    assert stacks.pack_words(vectors, 8).view(torch.uint8).tolist() == [[[1, 254, 3, 252]]]
    halves = stacks.pack_words(vectors, 16).view(torch.bfloat16).flatten()
    assert halves.tolist() == [1.0, -2.0, 3.0, -4.0]


def test_sampled_tokens_come_with_their_log_probabilities(kernels: Kernels) -> None:
    stack = stack_of(kernels, model_of(1, 4, 33), 200)
    logits = torch.randn(200, 33, generator=torch.Generator().manual_seed(4)) * 9
    stack.logits.copy_(logits)
    uniforms = torch.rand(200, 1, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    bias = torch.linspace(-1, 1, 33)
    rule = GenerationConfig(temperature=1.3, top_k=9)
    tokens, log_probs = CompiledDecoder(stack).sample(uniforms, bias, rule)
    expected = logits.log_softmax(-1).gather(1, tokens)
    torch.testing.assert_close(log_probs, expected, atol=1e-5, rtol=1e-5)
