"""Learned pieces lose nothing, whatever the text, and come from a bounded sample of it."""

import json
import pickle
from functools import cache
from itertools import chain, pairwise
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from charlm.config import TokenizerConfig
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers import kinds as tokenizers
from charlm.data.tokenizers import subwords
from charlm.data.tokenizers.subwords import SubwordTokenizer, TextSample, lines
from charlm.errors import TokenizerError
from tests.data.strings import FAST, FRAGMENTS, LONG, TEXT, TWENTY
from tests.data.tokenizers.trained import train

KINDS = ("bpe", "unigram")
PROSE = (
    "The quick brown fox jumps over the lazy dog, and the dog thinks about the fox.\n"
    "A <|boundary|> here, a <0x41> there; the boundary of the boundary, again and again.\r\n"
    "<|boundary|> <|boundary|> the\u2581thing\u2581of\u2581the\u2581thing\ttabs\ttoo\n"
    "Stra\xdfe, na\xefve, \u660e\u6708\u5149, \u5e8a\u524d\u660e\u6708\u5149.\n\n"
) * 5


def learned(kind: str, text: str, vocab_size: int | None = None) -> tuple[SubwordTokenizer, str]:
    config = TokenizerConfig(kind=kind, vocab_size=vocab_size)
    tokenizer, notes = train(config, [Piece(text, starts=True)])
    assert isinstance(tokenizer, SubwordTokenizer)
    return tokenizer, " ".join(notes)


@cache
def prose_tokenizer(kind: str) -> SubwordTokenizer:
    return learned(kind, PROSE, 360)[0]


def check(texts: list[str]) -> None:
    for kind in KINDS:
        tokenizer = prose_tokenizer(kind)
        for text in texts:
            ids = tokenizer.encode(text)
            assert tokenizer.boundary_id not in ids
            assert tokenizer.decode(ids) == text


@FAST
@given(TWENTY)
def test_every_text_survives(texts: list[str]) -> None:
    check(texts)


@pytest.mark.long
@LONG
@given(TWENTY)
def test_twenty_thousand_texts_survive(texts: list[str]) -> None:
    check(texts)


@pytest.mark.parametrize("kind", KINDS)
def test_every_character_survives(kind: str) -> None:
    tokenizer = prose_tokenizer(kind)
    text = "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", ["x", " ", "\u2581", "\n", "\U0001f600", "ab ", "\u660e"])
def test_long_lines_survive(kind: str, unit: str) -> None:
    tokenizer = prose_tokenizer(kind)
    text = unit * (100_000 // len(unit))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["alice29.txt", "enwik6", "unicode/*"])
def test_real_texts_survive_a_tokenizer_of_their_own(
    shared_data: Path, kind: str, name: str
) -> None:
    paths = sorted(shared_data.glob(name))
    assert paths
    for path in paths:
        text = path.read_bytes().decode("utf-8")[:200_000]
        tokenizer, _ = learned(kind, text[:20_000])
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert len(ids) < 0.8 * len(text.encode())


@FAST
@given(TEXT)
def test_a_stream_gives_what_decode_gives(text: str) -> None:
    tokenizer = prose_tokenizer("bpe")
    ids = tokenizer.encode(text).tolist()[::-1]  # backwards, most bytes make no character
    stream = tokenizer.stream()
    shown = [stream.push(id) for id in ids]
    assert "".join(shown) + stream.flush() == tokenizer.decode(ids)


def test_bytes_that_make_no_character_are_decoded_exactly() -> None:
    tokenizer = prose_tokenizer("bpe")
    by_bytes = {tokenizer.token_bytes(id): id for id in range(1, tokenizer.vocab_size)}
    ids = [by_bytes[bytes([byte])] for byte in range(256)]
    assert tokenizer.decode_bytes(ids) == bytes(range(256))
    assert tokenizer.token_bytes(tokenizer.boundary_id) == b""


def test_words_are_encoded_as_in_their_whole_line() -> None:
    tokenizer = prose_tokenizer("bpe")
    for line in PROSE.replace("\u2581", "").split("\n"):
        assert tokenizer.encode(line).tolist() == tokenizer.processor.encode(line)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_at_a_line_break_changes_no_token(kind: str) -> None:
    tokenizer = prose_tokenizer(kind)
    parts = [line + "\n" for line in PROSE.split("\n")]
    ids = chain.from_iterable(tokenizer.encode(part).tolist() for part in parts)
    assert list(ids) == tokenizer.encode("".join(parts)).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_words_that_are_remembered_and_forgotten_stay_the_same(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = " ".join(f"{word}{n}" for n in range(50) for word in ("fox", "the", "dog"))
    expected = prose_tokenizer(kind).encode(text)
    monkeypatch.setattr(subwords, "MOST_KNOWN", 5)
    copy = pickle.loads(pickle.dumps(prose_tokenizer(kind)))
    for part in (text[:200], text[:300], text):
        assert copy.encode(part).tolist() == prose_tokenizer(kind).encode(part).tolist()
    assert copy.encode(text).tobytes() == expected.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_one_long_line_is_learned_from(kind: str) -> None:
    tokenizer, _ = learned(kind, PROSE.replace("\n", " ") * 30, 320)
    assert len(tokenizer.encode("the boundary and the fox")) < 15


def test_long_lines_are_cut_before_spaces_and_short_enough_for_the_trainer() -> None:
    text = "word and word " * 400 + "\n\n" + "\U0001f600" * 3000 + "\nshort"
    parts = list(lines(text))
    assert "".join(parts) == text.replace("\n", "")
    assert all(len(part.encode()) <= 4192 for part in parts)
    assert all(part.startswith(" ") for part in parts[1:5])


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_too_large_shrinks_to_the_text_and_says_so(kind: str) -> None:
    tokenizer, notes = learned(kind, PROSE, 30_000)
    assert tokenizer.vocab_size < 2000
    assert notes == (
        f"the text allows a vocabulary of {tokenizer.vocab_size:,} pieces instead of 30,000"
    )
    assert learned(kind, PROSE, 310)[1] == ""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [4, 257, 280])
def test_a_vocabulary_too_small_is_refused_with_the_smallest_that_works(
    kind: str, size: int
) -> None:
    with pytest.raises(TokenizerError, match=f"vocab_size` is {size}, .* at least") as caught:
        learned(kind, PROSE, size)
    smallest = int(str(caught.value).split("at least ")[1].split()[0])
    assert learned(kind, PROSE, smallest)[0].vocab_size == smallest
    with pytest.raises(TokenizerError):
        learned(kind, PROSE, smallest - 1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_size_has_room_for_an_alphabet_of_thousands(kind: str) -> None:
    text = "".join(chr(0x4E00 + n) + ("\n" if n % 20 == 0 else "") for n in range(5000)) * 2
    tokenizer, _ = learned(kind, text)
    assert tokenizer.vocab_size > 4096
    assert len(tokenizer.encode(text)) < 1.1 * len(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["\n\n", "\0", "\u2585"])
def test_a_text_without_anything_to_learn_is_refused(kind: str, text: str) -> None:
    with pytest.raises(TokenizerError, match="cannot be learned"):
        learned(kind, text)


@FAST
@example("0\n \u2585", "bpe", None)  # the space is left without a piece
@given(TEXT, st.sampled_from(KINDS), st.none() | st.integers(4, 600))
def test_any_text_is_learned_from_or_refused(text: str, kind: str, size: int | None) -> None:
    try:
        tokenizer, _ = learned(kind, text, size)
    except TokenizerError:
        return
    assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_learning_is_deterministic_and_silent(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    first, second = (learned(kind, PROSE, 310)[0] for _ in range(2))
    assert first.digest() == second.digest()
    assert first.digest() != learned(kind, PROSE, 311)[0].digest()
    assert capfd.readouterr() == ("", "")


def test_a_sample_is_bounded_and_even(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subwords, "BLOCK", 10)
    monkeypatch.setattr(subwords, "SAMPLE", 200)
    sample = TextSample()
    for number in range(1000):
        sample.add(f"{number:05}")  # two make a block
        assert sample.chars <= 200 + 11
    numbers = [int(text.split()[0]) for text in sample.texts()]
    steps = {after - before for before, after in pairwise(numbers)}
    assert numbers[0] == 0
    assert len(steps) == 1
    assert 1000 - numbers[-1] <= steps.pop()


def test_a_text_smaller_than_the_sample_is_learned_from_whole() -> None:
    sample = TextSample()
    for text in FRAGMENTS:
        sample.add(text)
    assert "\n".join(sample.texts()) == "\n".join(FRAGMENTS)


@pytest.mark.parametrize("kind", KINDS)
def test_saving_and_pickling_keep_the_tokenizer(kind: str, tmp_path: Path) -> None:
    tokenizer = prose_tokenizer(kind)
    tokenizer.save(tmp_path)
    for copy in (tokenizers.load(tmp_path), pickle.loads(pickle.dumps(tokenizer))):
        assert copy.kind == kind
        assert copy.digest() == tokenizer.digest()
        assert copy.encode(PROSE).tobytes() == tokenizer.encode(PROSE).tobytes()


@pytest.mark.parametrize("change", ["flip", "cut", "empty", "missing", "grown"])
def test_a_damaged_model_is_refused_before_sentencepiece_sees_it(
    change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = prose_tokenizer("bpe")
    tokenizer.save(tmp_path)
    path = tmp_path / "tokenizer.model"
    model = bytearray(path.read_bytes())
    model[len(model) // 2] ^= 1
    changed = {"flip": model, "cut": model[:-1], "empty": b"", "grown": model + b"\0"}
    path.unlink()
    if change != "missing":
        path.write_bytes(changed[change])
    monkeypatch.setattr(tokenizers, "SubwordTokenizer", None)
    with pytest.raises(TokenizerError, match=r"tokenizer\.model"):
        tokenizers.load(tmp_path)


def test_a_model_of_somebody_else_is_refused(tmp_path: Path) -> None:
    from sentencepiece import SentencePieceTrainer

    SentencePieceTrainer.train(
        sentence_iterator=iter(PROSE.split("\n")),
        model_prefix=str(tmp_path / "foreign"),
        vocab_size=100,
        hard_vocab_limit=False,
        minloglevel=9,
    )
    with pytest.raises(TokenizerError, match="not made by charlm"):
        SubwordTokenizer("bpe", (tmp_path / "foreign.model").read_bytes())
    with pytest.raises(TokenizerError, match="damaged"):
        SubwordTokenizer("bpe", b"no model at all")


def test_the_definition_names_the_model_by_its_hash(tmp_path: Path) -> None:
    tokenizer = prose_tokenizer("unigram")
    tokenizer.save(tmp_path)
    definition = json.loads((tmp_path / "tokenizer.json").read_text())
    assert definition["vocab_size"] == tokenizer.vocab_size
    assert len(definition["model_sha256"]) == 64


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_surrogate_pair_is_refused(kind: str) -> None:
    with pytest.raises(TokenizerError, match=r"U\+D800"):
        prose_tokenizer(kind).encode("a\ud800")
    with pytest.raises(TokenizerError, match=r"U\+D800"):
        learned(kind, "a\ud800")
