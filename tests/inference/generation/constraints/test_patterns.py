"""A text matches its expression as a whole, for every tokenizer, and always ends in time."""

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import ConfigError
from charlm.inference.generation import lanes
from charlm.inference.generation.constraints.automata import compile_expression
from charlm.inference.generation.sampling import Rules, Sampler, Start
from charlm.inference.generation.text import rules_for, write_samples
from charlm.inference.predictors.decoder import CompiledDecoder, open_decoder
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model import native
from charlm.model.language_model import LanguageModel
from tests.inference.toys import ToyTokenizer

torch.set_num_threads(1)
PIECES = ToyTokenizer("bpe", [*"abcdeé ,.\n", "ab", "the", " the", "é b", "\n\n", "dead"])
PIECES.table += [bytes([0xC3]), bytes([0xA9])]
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer(list("abcdeé ,.\n")),
    "bpe": PIECES,
    "word": WordTokenizer(["a", "ab", "the", "dead", "é", "<eos>"], end_of_line=True),
    "byte": ByteTokenizer(),
}


def model_for(tokenizer: Tokenizer) -> Recurrent:
    network = LanguageModel.create(ModelConfig(hidden_size=8), tokenizer.vocab_size, seed=1)
    return Recurrent(network)


MODELS = {kind: model_for(tokenizer) for kind, tokenizer in TOKENIZERS.items()}


def texts(
    kind: str, pattern: str, length: int = 30, prompt: str = "", **given: object
) -> list[str]:
    config = GenerationConfig(pattern=pattern, length=length, temperature=1.0, **given)  # type: ignore[arg-type]
    samples = write_samples(MODELS[kind], TOKENIZERS[kind], prompt, config, seeds=[1, 2])
    found = [prompt + "".join(sample) for sample in samples]
    assert {sample.finish for sample in samples} <= {"length", "end"}
    return found


def part(source: random.Random, depth: int) -> str:
    """A random expression over the characters of the tokenizers."""
    kind = source.random()
    if depth == 0 or kind < 0.4:
        return source.choice(["a", "b", "[a-d]", "[^e]", ".", "é?", "the", r"\s", r"\w", "(?i:B)"])
    if kind < 0.6:
        return part(source, depth - 1) + part(source, depth - 1)
    if kind < 0.8:
        return f"({part(source, depth - 1)}|{part(source, depth - 1)})"
    return f"({part(source, depth - 1)})" + source.choice(["*", "+", "?", "{2,3}", "{2}", "*?"])


@pytest.mark.parametrize("kind", ["char", "bpe", "byte"])
def test_texts_match_random_expressions_within_their_length(kind: str) -> None:
    source, matched, refused = random.Random(kind), 0, list[str]()
    for _ in range(40):
        pattern = "".join(part(source, 3) for _ in range(source.randint(1, 3)))
        length = source.choice([4, 12, 30])
        try:
            found = texts(kind, pattern, length)
        except ConfigError as error:
            refused.append(str(error))
            continue
        matched += len(found)
        assert all(re.fullmatch(pattern, text) for text in found), pattern
        assert all(len(text) <= length for text in found)
    assert matched > 40
    allowed = r"or more characters|no text that this model can write"
    assert all(re.search(allowed, message) for message in refused)


@pytest.mark.parametrize(
    "pattern", ["(a|the) dead", r"\S+( \S+){2,4}", r"(\S+ \S+\n){2}the", "(the )*dead", "é?( ?a)*"]
)
def test_words_match_with_single_spaces_between_them(pattern: str) -> None:
    assert all(re.fullmatch(pattern, text) for text in texts("word", pattern))
    prompted = texts("word", f"ab the {pattern}", prompt="ab the ")
    assert all(re.fullmatch(f"ab the {pattern}", text) for text in prompted)


class StepwiseSampler(Sampler):
    """Samples token by token, also where the compiled decoder could."""

    steps = 0

    def __init__(self, rules: Rules, starts: Sequence[Start]) -> None:
        super().__init__(rules, starts)
        self.limits = list(range(len(rules.constraints)))

    def free(self, tokens: Sequence[Sequence[int]]) -> int:
        return 0

    def sample(self, log_probs: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        StepwiseSampler.steps += 1
        return super().sample(log_probs, numbers)


FREE = {"temperature": 1.3, "logit_bias": ("a=1",)}
EVERY = {
    "temperature": 0.9, "temperature_end": 1.4, "repetition_penalty": 1.2, "presence_penalty": 0.1,
    "penalty_window": 9, "dry_multiplier": 0.4, "dry_allowed_length": 1, "no_repeat_ngram": 4,
    "top_n_sigma": 3, "typical_p": 0.97, "epsilon_cutoff": 0.001, "top_p": 0.95, "min_p": 0.01,
    "xtc_probability": 0.3,
}  # fmt: skip


@pytest.mark.parametrize("how", [FREE, EVERY, {"mirostat_tau": 3.0}, {"temperature": 0.0}])
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_compiled_decoder_writes_what_steps_of_one_token_write(
    kind: str, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With texts that end at different places, one that is dropped, and the length used up."""
    if native.kernels() is None:
        pytest.skip(f"the compiled decoder is not there: {native.status()}")

    def written(config: GenerationConfig, seeds: Sequence[int]) -> list[object]:
        given = MODELS[kind], TOKENIZERS[kind], ["", "a "], config
        first, *samples = write_samples(*given, seeds=seeds)
        begun = next(first, "")
        first.close()
        found = [("".join(sample), sample.finish) for sample in reversed(samples)]
        return [begun, *found]

    cases: list[tuple[str, dict[str, Any]]] = [
        (pattern, {"unit": unit, "length": length})
        for pattern in (r"a?( ?\S+)*", r"(\w+ )*[abd]{2}(dead|\n)?", r".{3,9}\n?")
        for unit, length in (("characters", 90), ("tokens", 25))
    ]
    if how is FREE:  # the others need a length, or might go on for ever
        cases.append((r"a?( ?[^e])+", {"length": -1}))
    for pattern, end in cases:
        config = GenerationConfig(pattern=pattern, **end, **how)
        for seeds in ([7], range(5)):
            found = written(config, seeds)
            with monkeypatch.context() as patch:
                patch.setattr(lanes, "Sampler", StepwiseSampler)
                before = StepwiseSampler.steps
                assert written(config, seeds) == found
                assert StepwiseSampler.steps > before


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_the_compiled_decoder_gives_back_where_each_text_stands(kind: str) -> None:
    model, tokenizer = MODELS[kind], TOKENIZERS[kind]
    config = GenerationConfig(pattern=r"(\S+ )*(dead|the)", length=100, temperature=1.2)
    rules = rules_for(tokenizer, config, [""])
    begun = tuple(constraint.start("") for constraint in rules.constraints)
    starts = [Start((tokenizer.boundary_id,), seed, begun) for seed in (1, 2, 3)]
    begin = open_decoder(model)
    if not isinstance(begin, CompiledDecoder):
        pytest.skip(f"the compiled decoder is not there: {native.status()}")
    group = lanes.Lanes(lanes.read_prompts(begin, [each.ids for each in starts]), rules, starts)
    blocks = [group.blocks(place) for place in range(3)]
    (pattern,), states = rules.constraints, [start.states[0] for start in starts]
    for going in ([0, 1, 2], [0, 2]):
        for place in going:
            for token, _ in next(blocks[place]):
                states[place] = pattern.advance(states[place], token)
        assert group.sampler is not None
        assert group.sampler.states == [(states[place],) for place in going]
        blocks[1].close()


def test_no_shorter_length_than_the_expression_needs_is_taken() -> None:
    for kind, least in (("char", 11), ("bpe", 10)):  # no character of "the" is in the alphabet
        found = texts(kind, "[ab]{7}(the|dead)", least)
        assert all(re.fullmatch("[ab]{7}(the|dead)", text) for text in found)
        with pytest.raises(ConfigError, match=f"`length` must be {least} or more characters"):
            texts(kind, "[ab]{7}(the|dead)", least - 1)
    assert all(len(text) >= 7 for text in texts("bpe", "[ab]{4}the", 5, unit="tokens"))


def test_where_the_expression_is_complete_leaving_it_ends_the_text() -> None:
    """The model would go on with other characters nearly always."""
    model = model_for(TOKENIZERS["char"])
    model.network.head.bias.data[int(TOKENIZERS["char"].encode("e")[0])] = 50
    config = GenerationConfig(pattern="[abcd]+", length=200)
    (sample,) = write_samples(model, TOKENIZERS["char"], "", config, seeds=[1])
    assert len("".join(sample)) == 1
    assert sample.finish == "end"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pattern": "("}, "is no regular expression"),
        ({"pattern": r"(a)\1"}, r"not a plain expression \(groupref\)"),
        ({"pattern": "z+"}, "no text that this model can write matches"),
        ({"pattern": "[a-c]+", "allowed": "de"}, "no text that this model can write matches"),
        ({"pattern": "a{1,30000}"}, "needs more than 20,000 states"),
        ({"pattern": "abc", "prompt": "ad"}, "the prompt breaks `pattern` at its character 2, 'd'"),
        ({"pattern": "a+z|ab", "prompt": "aa"}, "nothing this model can write completes it"),
        ({"pattern": "a+", "unit": "lines"}, "`generation.unit` and `generation.whole` contradict"),
    ],
)
def test_what_cannot_match_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        texts("char", **given)


@pytest.mark.parametrize("how", [{"stop": ["a"]}, {"past_end": True}])
def test_what_would_keep_the_text_from_matching_is_refused(how: dict[str, object]) -> None:
    config = GenerationConfig(pattern="a+")
    with pytest.raises(ConfigError, match="and `pattern` contradict"):
        write_samples(MODELS["char"], TOKENIZERS["char"], "", config, seeds=[1], **how)  # type: ignore[arg-type]


def accepts(expression: str, text: str) -> bool:
    automaton = compile_expression(expression, "abAB\n é")
    state = 0
    for char in text:
        state = int(automaton.table[state, automaton.classes[char]])
    return bool(automaton.accepting[state])


@pytest.mark.parametrize("expression", ["(a|b)*a", "(?i)ab{2,}", "(a*)*b?", "^a.$", "", "(a|)(b|)"])
def test_automata_accept_what_re_matches(expression: str) -> None:
    source: Callable[[], str] = lambda: "".join(random.choices("abAB\n é", k=random.randint(0, 5)))  # noqa: E731
    for text in {"", "a", "ab", "abb", *(source() for _ in range(300))}:
        # Without $ before a last line break, which is no part of a whole match
        assert accepts(expression, text) == bool(re.fullmatch(expression.strip("^$"), text))
