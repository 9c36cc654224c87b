"""20,000 texts through the tokenizers of each kind: what is decoded is what was encoded."""

import random

import pytest

from charlm.config import TokenizerConfig
from charlm.data.tokenizers.kinds import Tokenizer, tokenizer_trainer
from tests.data.strings import FRAGMENTS

TEXTS = 20_000
ALPHABETS = (
    "abet \n", "the cat sat", "\u2581 \u2581a", "éèêñ ß", "\0\x01\x1b\x7f\x85", "猫が好き。",
    "\U0001f600\U0001f468\u200d\U0001f469", "\r\n\t \u2028\u2029", "<0x41>|boundary",
)  # fmt: skip


def texts(seed: int) -> list[str]:
    """Texts of all kinds: fragments that broke tokenizers, small alphabets, any characters."""
    source = random.Random(seed)

    def any_character() -> str:
        code = source.randrange(0x110000 - 0x800)
        return chr(code if code < 0xD800 else code + 0x800)

    def part() -> str:
        match source.randrange(3):
            case 0:
                return source.choice(FRAGMENTS)
            case 1:
                return "".join(source.choices(source.choice(ALPHABETS), k=source.randint(0, 12)))
            case _:
                return "".join(any_character() for _ in range(source.randint(0, 5)))

    return ["".join(part() for _ in range(source.randint(0, 5))) for _ in range(TEXTS)]


def tokenizer(kind: str, sample: list[str]) -> Tokenizer:
    """A tokenizer that has seen ``sample``."""
    size = 400 if kind in ("bpe", "unigram") else None
    trainer = tokenizer_trainer(TokenizerConfig(kind=kind, vocab_size=size))
    trainer.add("\n".join(sample))
    return trainer.finish()[0]


@pytest.mark.parametrize("kind", ["byte", "bpe", "unigram"])
def test_every_text_comes_back(kind: str) -> None:
    found = tokenizer(kind, ["the cat sat on the mat\n" * 40, "ate the hat of\u2581 é \n" * 40])
    lost = [text for text in texts(1) if found.decode(found.encode(text)) != text]
    assert not lost, lost[:3]


def test_every_text_over_the_alphabet_comes_back() -> None:
    sample = texts(2)
    found = tokenizer("char", sample)
    lost = [text for text in sample if found.decode(found.encode(text)) != text]
    assert not lost, lost[:3]


def test_words_come_back_with_single_spaces() -> None:
    sample = texts(3)
    found = tokenizer("word", sample)
    for text in sample:
        lines = [" ".join(line.split()) for line in text.split("\n")]
        assert found.decode(found.encode(text)) == "\n".join(lines).replace("<eos>", "\n") or (
            "<eos>" in text
        )


def test_every_byte_comes_back() -> None:
    found, source = tokenizer("byte", []), random.Random(4)
    for _ in range(TEXTS):
        content = source.randbytes(source.randint(0, 20))
        assert found.decode_bytes(found.encode(content)) == content


@pytest.mark.parametrize("kind", ["byte", "char", "word", "bpe", "unigram"])
def test_a_stream_gives_what_decoding_gives(kind: str) -> None:
    sample = texts(5)[:2000]
    known = sample if kind in ("char", "word") else []
    found = tokenizer(kind, ["the cat sat on the mat é\n" * 40, *known])
    for text in sample:
        ids = found.encode(text)
        stream = found.stream()
        assert "".join(map(stream.push, ids.tolist())) + stream.flush() == found.decode(ids)
