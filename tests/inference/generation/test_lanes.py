"""A sample is the same alone, among others, in any blocks, natively and by torch."""

from collections.abc import Sequence

import pytest
import torch

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.tokenizers.alphabets import CharTokenizer
from charlm.errors import ConfigError, ModelError
from charlm.inference.generation import lanes
from charlm.inference.generation.filters import sample_from_uniforms, uniforms
from charlm.inference.generation.sampling import Rules, Start
from charlm.inference.generation.text import stream, write_samples
from charlm.inference.predictors import decoder as decoders
from charlm.inference.predictors.decoder import CompiledDecoder, Decoder, open_decoder
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.recurrent import Recurrent, in_precision
from charlm.model import native
from charlm.model.language_model import LanguageModel

torch.set_num_threads(1)
ALPHABET = CharTokenizer(list("abcdefgh "))
SEEDS = range(3, 10)


@pytest.fixture
def model() -> Recurrent:
    config = ModelConfig(hidden_size=20, num_layers=2, tie_weights=False)
    network = LanguageModel.create(config, ALPHABET.vocab_size, seed=1)
    torch.nn.init.normal_(network.head.weight, generator=torch.Generator().manual_seed(2))
    return Recurrent(network)


@pytest.fixture(params=["native", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to decode."""
    if request.param == "torch":
        monkeypatch.setattr(native, "kernels", lambda *_: None)
    elif native.kernels() is None:
        pytest.skip(f"the native decoder is not there: {native.status()}")


LONG = GenerationConfig(length=60, temperature=1)


def texts(
    model: Predictor, config: GenerationConfig = LONG, stop: Sequence[str] = ()
) -> dict[int, str]:
    samples = write_samples(model, ALPHABET, "ab", config, seeds=SEEDS, stop=stop)
    return {sample.seed: "".join(sample) for sample in samples}


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("stop", [(), ("a",)])
def test_a_text_does_not_depend_on_the_others(model: Recurrent, stop: tuple[str, ...]) -> None:
    together = texts(model, stop=stop)
    assert len(set(together.values())) > 1
    for seed, text in together.items():
        alone = stream(model, ALPHABET, "ab", LONG, stop=stop, seed=seed)
        assert "".join(alone) == text


@pytest.mark.usefixtures("way")
def test_a_text_does_not_depend_on_the_order_in_which_they_are_asked_for(model: Recurrent) -> None:
    expected = texts(model)
    samples = write_samples(model, ALPHABET, "ab", LONG, seeds=SEEDS)
    first = next(samples[-1])
    found = {sample.seed: "".join(sample) for sample in reversed(samples)}
    found[SEEDS[-1]] = first + found[SEEDS[-1]]
    assert found == expected


def test_a_text_does_not_depend_on_blocks_and_groups(
    model: Recurrent, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = texts(model)
    monkeypatch.setattr(lanes, "LANES", 3)
    monkeypatch.setattr(decoders, "LARGEST_BLOCK", 5)
    assert texts(model) == expected


@pytest.mark.parametrize(
    "config",
    [LONG, GenerationConfig(length=60, temperature=0.7, top_k=6, top_p=0.9, min_p=0.02)],
)
def test_both_ways_write_the_same(
    model: Recurrent, config: GenerationConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = texts(model, config)
    monkeypatch.setattr(native, "kernels", lambda *_: None)
    assert texts(model, config) == expected


def test_random_numbers_are_the_same_however_many_are_taken_at_once() -> None:
    one, other = (torch.Generator().manual_seed(5) for _ in range(2))
    pieces = [uniforms(one, count) for count in (1, 1, 3, 16, 17, 2)]
    assert torch.equal(torch.cat(pieces), uniforms(other, 40))


@pytest.mark.usefixtures("way")
def test_written_tokens_follow_the_models_distribution(model: Recurrent) -> None:
    prompt, bias = (0, 3, 1), torch.zeros(model.vocab_size)
    starts = [Start(prompt, seed) for seed in range(2000)]
    written = lanes.sample_tokens(open_decoder(model), Rules(LONG, bias), starts)
    drawn = torch.tensor([next(blocks)[0][0] for blocks in written])
    expected = open_decoder(model).advance(torch.tensor([prompt]))[0].exp()
    shares = torch.bincount(drawn, minlength=model.vocab_size) / len(drawn)
    torch.testing.assert_close(shares, expected, atol=0.035, rtol=0)


@pytest.mark.usefixtures("way")
def test_a_model_whose_training_diverged_is_named_as_that(model: Recurrent) -> None:
    model.network.head.bias.data[:] = float("nan")
    for temperature in (0.0, 0.8):
        config = GenerationConfig(temperature=temperature)
        with pytest.raises(ModelError, match="NaN or infinite"):
            "".join(stream(model, ALPHABET, "ab", config))


@pytest.mark.parametrize(
    "settings",
    [
        {"cell": "gru"},
        {"cell": "rnn"},
        {"cell": "layer_norm_lstm"},
        {"mogrifier_rounds": 2},
        {"connections": "residual"},
        {"connections": "skip"},
        {"embedding_size": 5},
        {"softmaxes": 2},
        {"adaptive_softmax": True},
    ],
)
def test_what_is_not_a_plain_stack_is_decoded_by_torch(settings: dict[str, object]) -> None:
    config = ModelConfig(hidden_size=8, num_layers=2, **settings)  # type: ignore[arg-type]
    network = LanguageModel.create(config, 30, seed=1).eval()
    decoder, tokens = open_decoder(Recurrent(network), 2), torch.tensor([[1, 2, 3], [4, 5, 29]])
    assert type(decoder) is Decoder
    decoder.advance(tokens[:, :2])
    expected = network(tokens)[0][:, -1].detach().log_softmax(-1)
    torch.testing.assert_close(decoder.advance(tokens[:, 2:]), expected, atol=1e-5, rtol=1e-5)


def test_only_float32_is_decoded_natively() -> None:
    network = LanguageModel.create(ModelConfig(hidden_size=8), 9, seed=1)
    compiled = isinstance(open_decoder(Recurrent(network)), CompiledDecoder)
    assert compiled == (native.kernels() is not None)
    assert type(open_decoder(Recurrent(network.double()))) is Decoder


def test_rounded_weights_need_the_native_decoder_and_a_network(
    model: Recurrent, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_precision(model, "float32") is model
    monkeypatch.setattr(native, "kernels", lambda *_: None)
    with pytest.raises(ConfigError, match="`precision=int8` needs the compiled decoder"):
        open_decoder(in_precision(model, "int8"))
    with pytest.raises(ConfigError, match="`precision=int8` is for recurrent networks"):
        in_precision(object(), "int8")  # type: ignore[arg-type]


def test_a_token_is_sampled_if_the_random_number_falls_into_its_share() -> None:
    logits = torch.tensor([[0.5, 0.0, 0.25, 0.25]]).log()
    numbers = uniforms(torch.Generator().manual_seed(1), 200)
    drawn = sample_from_uniforms(logits.expand(200, 4), GenerationConfig(temperature=1), numbers)
    found = [0 if number < 0.5 else 2 if number < 0.75 else 3 for number in numbers.tolist()]
    assert drawn.tolist() == found


EVERY = {
    "filters": GenerationConfig(
        length=40, temperature=0.9, temperature_end=1.2, repetition_penalty=1.1,
        presence_penalty=0.1, frequency_penalty=0.05, penalty_window=20, dry_multiplier=0.5,
        dry_allowed_length=2, no_repeat_ngram=5, top_n_sigma=3, top_k=9, typical_p=0.97,
        epsilon_cutoff=0.001, eta_cutoff=0.001, top_p=0.97, min_p=0.01, xtc_probability=0.3,
        banned="h", logit_bias=("a=0.5",),
    ),
    "long": GenerationConfig(
        length=400, temperature=1.5, frequency_penalty=0.01, penalty_window=150,
        dry_multiplier=0.2, dry_allowed_length=1, dry_breakers="c", no_repeat_ngram=4,
    ),
    "whole": GenerationConfig(
        length=300, temperature_end=1.5, temperature_shape="cosine", presence_penalty=0.2,
        no_repeat_ngram=6,
    ),
    "repetition": GenerationConfig(
        length=60, temperature_end=1.5, temperature_shape="geometric", repetition_penalty=1.3,
    ),
    "mirostat": GenerationConfig(length=40, mirostat_tau=2.5),
    "pattern": GenerationConfig(length=40, pattern="[a-h]+( [a-h]{2,5})*"),
    "greedy": GenerationConfig(length=40, temperature=0, repetition_penalty=1.3),
}  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_step_by_step_both_ways_write_the_same_alone_and_together(
    model: Recurrent, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = EVERY[name]
    together = texts(model, config)
    for seed, text in together.items():
        assert "".join(stream(model, ALPHABET, "ab", config, seed=seed)) == text
    monkeypatch.setattr(native, "kernels", lambda *_: None)
    assert texts(model, config) == together
    if name == "filters":
        assert not any("h" in text for text in together.values())
    assert name == "greedy" or len(set(together.values())) > 1


@pytest.mark.usefixtures("way")
def test_prompts_of_different_lengths_are_continued_as_each_alone(model: Recurrent) -> None:
    prompts, config = ["abc", "", "d e f g h", "abc d"], EVERY["filters"]
    together = write_samples(model, ALPHABET, prompts, config, seeds=[1, 2])
    found = [(sample.prompt, sample.seed, "".join(sample)) for sample in together]
    for prompt, seed, text in found:
        assert "".join(stream(model, ALPHABET, prompt, config, seed=seed)) == text
    assert [prompt for prompt, _, _ in found] == [each for each in prompts for _ in range(2)]
