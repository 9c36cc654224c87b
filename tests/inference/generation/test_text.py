"""Text comes whole, ends where it should and says why, and its seed gives it again."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from charlm.config import GenerationConfig, ModelConfig
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import ConfigError, TokenizerError
from charlm.inference.generation.endings import Ending
from charlm.inference.generation.pieces import Cut, Written
from charlm.inference.generation.text import stream, write_samples
from charlm.inference.predictors.recurrent import Recurrent
from charlm.model.language_model import LanguageModel
from tests.inference.bigram import Bigram
from tests.inference.generation.generating import generate

torch.set_num_threads(1)


def model_for(tokenizer: Tokenizer) -> Recurrent:
    config = ModelConfig(hidden_size=8)
    return Recurrent(LanguageModel.create(config, tokenizer.vocab_size, seed=1))


LETTERS = CharTokenizer(list("abcdefgh "))


def always(tokenizer: Tokenizer, *tokens: int) -> Bigram:
    """A model that goes through the tokens in a circle, beginning after the boundary."""
    table = torch.zeros(tokenizer.vocab_size, tokenizer.vocab_size)
    for before, after in zip((0, *tokens), (*tokens, tokens[0]), strict=True):
        table[before, after] = 1
    return Bigram(table.numpy())


def test_a_seed_gives_the_same_text_again() -> None:
    model = model_for(LETTERS)
    texts = [generate(model, LETTERS, "ab", seed=seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("ab")


def test_without_a_seed_each_text_is_another_and_its_seed_is_told() -> None:
    model = model_for(LETTERS)
    samples = [stream(model, LETTERS, "ab") for _ in range(3)]
    texts = ["".join(sample) for sample in samples]
    assert len(set(texts)) > 1
    assert [generate(model, LETTERS, "ab", seed=one.seed) for one in samples] == [
        "ab" + text for text in texts
    ]


def test_several_samples_and_prompts_are_lists_of_what_each_alone_is() -> None:
    model, config = model_for(LETTERS), GenerationConfig(length=20)
    alone = [
        [generate(model, LETTERS, prompt, config, seed=seed) for seed in (5, 6)]
        for prompt in ("a", "b")
    ]
    assert generate(model, LETTERS, "a", config, samples=2, seed=5) == alone[0]
    assert generate(model, LETTERS, ["a", "b"], config, samples=2, seed=5) == alone
    assert generate(model, LETTERS, ["a", "b"], config, seed=5) == [alone[0][0], alone[1][0]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"prompt": 3}, "`prompt` must be a text"),
        ({"prompt": ["a", 3]}, "`prompt` must be a text, got 3"),
        ({"samples": 0}, "`samples` must be 1 or more, got 0"),
        ({"seed": -1}, "`seed` must be from 0"),
        ({"stop": [""]}, "`stop` must not be empty"),
    ],
)
def test_what_cannot_be_meant_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        generate(model_for(LETTERS), LETTERS, **given)  # type: ignore[arg-type]


def test_threads_write_from_one_model_what_one_would() -> None:
    model, config = model_for(LETTERS), GenerationConfig(length=200)
    model.network.head.bias.data[0] = -100

    def write(seed: int) -> str:
        return "".join(stream(model, LETTERS, "ab", config, seed=seed))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(write, range(12))) == [write(seed) for seed in range(12)]


def test_length_counts_characters_exactly() -> None:
    model = model_for(LETTERS)
    model.network.head.bias.data[LETTERS.boundary_id] = -100  # it would end the text earlier
    for length in (0, 1, 123):
        sample = stream(model, LETTERS, config=GenerationConfig(length=length))
        assert len("".join(sample)) == length
        assert sample.finish == "length"


def test_a_text_says_why_it_is_over() -> None:
    model, a, b = always(LETTERS, 2, 3, 0), "a", "b"
    sample = stream(model, LETTERS)
    assert (sample.finish, list(sample), sample.finish) == (None, [a, b], "end")
    with pytest.raises(ConfigError, match="read to its end"):
        list(sample)
    assert sample.finish == "end"
    sample = stream(model, LETTERS, stop=[b])
    assert ("".join(sample), sample.finish) == (a, "stop")
    sample = stream(model, LETTERS, config=GenerationConfig(length=1), stop=[b])
    assert ("".join(sample), sample.finish) == (a, "length")


def test_past_the_end_another_document_begins_on_a_new_line() -> None:
    tokenizer, config = CharTokenizer(list("ab\n")), GenerationConfig(length=7)
    a, b, newline = (int(tokenizer.encode(text)[0]) for text in ("a", "b", "\n"))
    sample = stream(always(tokenizer, a, b, 0), tokenizer, config=config, past_end=True)
    assert ("".join(sample), sample.finish) == ("ab\nab\na", "length")
    closed = always(tokenizer, a, newline, 0)
    assert generate(closed, tokenizer, config=config, past_end=True) == "a\na\na\na"
    assert generate(always(tokenizer, a, b, 0), tokenizer, "ab", config, past_end=True) == (
        "ab\nab\nab\n"
    )


@pytest.mark.parametrize(
    ("prompt", "expected"), [("the ", "the cat"), ("the", "the cat"), ("the\n", "the\ncat")]
)
def test_white_space_at_the_end_of_a_prompt_counts_once(prompt: str, expected: str) -> None:
    tokenizer = WordTokenizer(["the", "cat"], end_of_line=False)
    the, cat = map(int, tokenizer.encode("the cat"))
    assert generate(always(tokenizer, the, cat, 0), tokenizer, prompt) == expected


def test_pieces_are_single_tokens() -> None:
    model = model_for(LETTERS)
    model.network.head.bias.data[LETTERS.boundary_id] = -100
    assert {len(piece) for piece in stream(model, LETTERS)} == {1}


def test_bytes_come_out_as_whole_characters_only() -> None:
    tokenizer = ByteTokenizer()
    model = model_for(tokenizer)
    model.network.head.bias.data[:] = -100
    for byte in "é日".encode():
        model.network.head.bias.data[byte + 1] = 0
    pieces = list(stream(model, tokenizer, config=GenerationConfig(length=200)))
    assert "".join(pieces).encode().decode() == "".join(pieces)


def test_half_a_character_is_completed_in_byte_mode() -> None:
    tokenizer = ByteTokenizer()
    stream = tokenizer.stream()
    assert [stream.push(byte + 1) for byte in "é".encode()] == ["", "é"]


def test_the_boundary_ends_the_text() -> None:
    tokenizer = CharTokenizer(list("ab"))
    model = model_for(tokenizer)
    model.network.head.bias.data[tokenizer.boundary_id] = 100
    assert generate(model, tokenizer) == ""


def test_the_unknown_symbol_is_never_written() -> None:
    tokenizer = CharTokenizer(list("ab"))
    model = model_for(tokenizer)
    model.network.head.bias.data[tokenizer.unknown_id] = 100
    model.network.head.bias.data[tokenizer.boundary_id] = -100
    assert set(generate(model, tokenizer)) == {"a", "b"}


def test_a_prompt_with_unknown_characters_is_refused_naming_them() -> None:
    tokenizer = CharTokenizer(list("ab"))
    with pytest.raises(TokenizerError, match=r"'z' \(2x\)"):
        write_samples(model_for(tokenizer), tokenizer, "azbz", seeds=[1])


def cut_text(pieces: Sequence[str], length: int, stop: Sequence[str]) -> Iterator[str]:
    """The pieces that ``Cut`` makes of pieces."""
    pending = Cut(Ending(GenerationConfig(length=length)), stop)
    for piece in pieces if pending.finish is None else ():
        yield "".join(token.text for token in pending.push(Written(piece, 0.0)))
        if pending.finish:
            return
    yield "".join(token.text for token in pending.held)


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
    assert "".join(cut_text(pieces, length, stop)) == expected


def test_what_cannot_begin_a_stop_string_is_not_held_back() -> None:
    emitted = cut_text(["ab", "cd", "ef"], 99, ("xyz",))
    assert next(emitted) == "ab"
