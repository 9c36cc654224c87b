"""The laws of a writing session: undo, seeds, candidates, and a state that follows the text."""

import dataclasses
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from charlm.config import GenerationConfig
from charlm.errors import ConfigError
from charlm.inference.generation.text import generate
from charlm.inference.generation.writing import incremental
from charlm.inference.generation.writing.incremental import IncrementalReader
from charlm.inference.generation.writing.session import WritingSession
from charlm.inference.generation.writing.units import last_unit
from charlm.inference.predictors.decoder import Decoder, open_decoder
from charlm.inference.predictors.predictor import Predictor
from charlm.inference.predictors.recurrent import Recurrent
from tests.inference.toys import CHARS, KINDS, PIECES, ToyModel, ToyTokenizer, model_for, trained

torch.set_num_threads(1)

PILOT = "\U0001f469\U0001f3fd\u200d\U0001f680"  # one character of four code points
UNITS = ("character", "word", "line", "paragraph")
WARM = GenerationConfig(temperature=0.9, repetition_penalty=1.1)


@cache
def parts(kind: str) -> tuple[Recurrent, Any]:
    tokenizer = trained(kind)
    return model_for(tokenizer), tokenizer


def session(kind: str, text: str = "", **how: Any) -> WritingSession:
    model, tokenizer = parts(kind)
    return WritingSession(model, tokenizer, text=text, **{"seed": 1, **how})


def fresh_log_probs(of: WritingSession, model: Predictor) -> Tensor:
    decoder = open_decoder(model)
    return decoder.advance(torch.tensor([[0, *map(int, of.tokenizer.encode(of.text))]]))[0]


def act(on: WritingSession, what: str, number: int) -> None:
    """One of everything that changes a text."""
    if what == "type":
        on.type("the cat"[number : number + 1] or "\n")
    elif what == "extend":
        on.extend(UNITS[number % 2])
    elif what == "choose":
        on.choose(on.likeliest(8)[number].text)
    elif what == "take_back":
        on.take_back(UNITS[number % 4])
    elif what == "regenerate" and on.mark < len(on.text):
        on.regenerate()


ACTS = st.tuples(
    st.sampled_from(["type", "type", "extend", "choose", "take_back", "regenerate"]),
    st.integers(0, 7),
)


@pytest.mark.parametrize("kind", ["char", "bpe"])
@settings(max_examples=8, deadline=None)
@given(acts=st.lists(ACTS, max_size=12))
def test_what_is_undone_can_be_redone_and_the_state_follows(
    kind: str, acts: list[tuple[str, int]]
) -> None:
    writing = session(kind, "the ")
    for what, number in acts:
        before, changes = writing.text, len(writing.done)
        act(writing, what, number)
        if len(writing.done) > changes:  # a typed word is one change with its first character
            after = writing.text
            assert writing.undo()
            assert writing.text == before
            assert writing.redo()
            assert writing.text == after
    last = writing.text
    candidates = writing.likeliest(3)
    while writing.undo():
        pass
    assert writing.text == "the "
    expected = fresh_log_probs(writing, parts(kind)[0])
    torch.testing.assert_close(writing.reader.read(writing.ids).log_probs[0], expected)
    while writing.redo():
        pass
    assert writing.text == last
    assert [each.text for each in writing.likeliest(3)] == [each.text for each in candidates]


def test_a_change_after_undo_ends_redoing() -> None:
    writing = session("char")
    writing.choose("cat")
    writing.undo()
    writing.choose("dog")
    assert not writing.redo()
    assert writing.text == "dog"


def test_a_typed_word_is_one_change() -> None:
    writing = session("char")
    for char in "the cat ":
        writing.type(char)
    writing.undo()
    assert writing.text == "the "
    writing.undo()
    assert writing.text == ""


@pytest.mark.parametrize(
    ("kind", "unit"),
    # Untrained models of many tokens write no empty line.
    [(kind, unit) for kind in KINDS for unit in UNITS[: 4 if kind in ("char", "word") else 3]],
)
def test_a_continuation_is_what_generate_writes(kind: str, unit: str) -> None:
    model, tokenizer = parts(kind)
    writing = session(kind, "the cat", config=WARM, seed=5)
    config = dataclasses.replace(WARM, length=1, unit=f"{unit}s")
    added = writing.extend(unit)  # type: ignore[arg-type]
    wanted = generate(model, tokenizer, "the cat", config, seed=5)
    assert added
    # A unit that does not end is broken off.
    assert str(wanted).startswith(writing.text)
    assert writing.text == wanted or len(added) >= 100
    assert writing.seed == 6


def test_regenerating_changes_only_what_the_model_wrote_last() -> None:
    writing = session("char", "the ")
    writing.extend("line")
    before, mark = writing.text, len(writing.text)
    first = writing.extend("line")
    assert writing.mark == mark
    second = writing.regenerate()
    assert writing.text == before + second
    assert second != first
    assert second == session("char", before, seed=3).extend("line")
    writing.undo()
    assert writing.text == before + first
    writing.type("x")
    assert writing.mark == len(writing.text)
    with pytest.raises(ConfigError, match="does not end with what the model wrote"):
        writing.regenerate()


def test_a_continuation_that_is_broken_off_is_one_change() -> None:
    writing = session("char", "the ")
    pieces = writing.extending("paragraph")
    begin = "".join(next(pieces) for _ in range(5))
    pieces.close()
    assert writing.text == "the " + begin
    writing.undo()
    assert writing.text == "the "


@pytest.mark.parametrize("kind", KINDS)
def test_the_likeliest_tokens_have_the_models_probabilities(kind: str) -> None:
    model, tokenizer = parts(kind)
    writing = session(kind, "the cat")
    probabilities = fresh_log_probs(writing, model).exp()
    found = writing.likeliest(1000)
    wanted: dict[str, float] = {}
    shown = {each.text.removeprefix(" " if kind == "word" else ""): each for each in found}
    for id, content in enumerate(tokenizer.table):
        try:
            text = content.decode()
        except UnicodeDecodeError:
            continue  # a part of a character
        if id not in (tokenizer.boundary_id, tokenizer.unknown_id):
            # A byte and a character may be one text.
            wanted[text] = max(wanted.get(text, 0), float(probabilities[id]))
    assert {text: each.probability for text, each in shown.items()} == pytest.approx(wanted, 1e-4)
    assert [each.probability for each in found] == sorted(
        (each.probability for each in found), reverse=True
    )


@pytest.mark.parametrize("kind", ["char", "word"])
def test_a_chosen_candidate_is_the_next_token(kind: str) -> None:
    writing = session(kind, "the cat")
    before = writing.ids
    for candidate in writing.likeliest(5):
        writing.choose(candidate.text)
        assert writing.text == "the cat" + candidate.text
        assert writing.ids[:-1] == before
        writing.undo()


@pytest.mark.parametrize(
    ("tokenizer", "text"),
    [(CHARS, ""), (CHARS, "ab"), (CHARS, "ab "), (PIECES, ""), (PIECES, "ab")],
)
def test_the_likeliest_words_equal_enumeration(tokenizer: ToyTokenizer, text: str) -> None:
    model = ToyModel(tokenizer.vocab_size)
    ids = (0, *tokenizer.encode(text).tolist())
    words: dict[str, float] = {}
    for length in range(1, 7):
        for tokens in product(range(1, tokenizer.vocab_size), repeat=length):
            content = b"".join(tokenizer.table[token] for token in tokens).decode()
            if content.strip() and not any(char.isspace() for char in content.lstrip()):
                p, history = 1.0, ids
                for token in tokens:
                    p *= probabilities_after(model, history)[token]
                    history = (*history, token)
                after = probabilities_after(model, history)
                ends = [n for n, each in enumerate(tokenizer.table) if not each or each[:1] == b" "]
                words[content] = words.get(content, 0) + p * sum(after[n] for n in ends)
    best = sorted(words.items(), key=lambda each: -each[1])[:3]
    found = WritingSession(model, tokenizer, text=text).likeliest(3, by="word")
    assert [each.text for each in found] == [word for word, _ in best]
    np.testing.assert_allclose([each.probability for each in found], [p for _, p in best])


@cache
def probabilities_after(model: ToyModel, history: tuple[int, ...]) -> np.ndarray:
    log_probs, _ = model.advance(torch.tensor([history]), model.start())
    return log_probs[0, -1].exp().numpy()


def test_what_is_kept_of_a_long_text_gives_what_a_fresh_read_gives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(incremental, "STRIDE", 4)
    monkeypatch.setattr(incremental, "MOST", 6)
    source, model = np.random.default_rng(1), parts("char")[0]
    read = 0

    class Counting(Decoder):
        def advance(self, tokens: Tensor) -> Tensor:
            nonlocal read
            read += tokens.shape[1]
            return super().advance(tokens)

    reader = IncrementalReader(Counting(model, model.start()))
    ids = [0, *source.integers(2, 9, 60).tolist()]
    for change in (0, 1, 3, 10, 1, 40, 2, 59):
        ids = ids[: len(ids) - change] + source.integers(2, 9, 3).tolist()
        found = reader.read(ids).log_probs
        expected = open_decoder(model).advance(torch.tensor([ids]))
        torch.testing.assert_close(found, expected)
        assert len(reader.kept) <= 6 + 1
    read = 0
    reader.read([*ids, 2])
    assert read == 1  # one more token is one step


class Ending(Predictor):
    """A model that would end every text at once."""

    vocab_size = 4

    def start(self, lanes: int = 1) -> int:
        return lanes

    def advance(self, tokens: Tensor, state: int) -> tuple[Tensor, int]:
        row = torch.tensor([0.97, 0.01, 0.01, 0.01]).log()
        return row.expand(*tokens.shape, 4), state

    def select(self, state: int, lanes: Tensor) -> int:
        return len(lanes)


def test_where_the_model_would_end_it_goes_on_when_it_is_asked_to() -> None:
    writing = WritingSession(Ending(), CHARS, text="ab", seed=1)
    assert writing.extend("word")
    assert all(each.text for each in writing.likeliest(5))


@pytest.mark.parametrize(
    ("text", "unit", "removed"),
    [
        ("", "character", ""),
        ("ab", "character", "b"),
        ("ae\u0301\u0323", "character", "e\u0301\u0323"),
        ("a\r\n", "character", "\r\n"),
        (f"x{PILOT}", "character", PILOT),
        ("the cat ", "word", " cat "),
        ("the\ncat", "word", "cat"),
        (" \n", "word", " \n"),
        ("one\ntwo\nthree", "line", "\nthree"),
        ("one\ntwo\n", "line", "\ntwo\n"),
        ("one", "line", "one"),
        ("one\n\ntwo\nthree", "paragraph", "\n\ntwo\nthree"),
    ],
)  # fmt: skip
def test_the_unit_that_one_step_back_removes(text: str, unit: Any, removed: str) -> None:
    assert last_unit(text, unit) == removed
    writing = session("byte", text)
    assert writing.take_back(unit) == removed
    assert writing.text + removed == text


def test_typing_leaves_out_what_no_keyboard_writes_and_candidates_do_not() -> None:
    writing = session("byte")
    writing.type("a\x1b]0;b\x07\r\nc\td\ud800")
    assert writing.text == "a]0;b\nc\td"
    writing.choose("\x1b")
    assert writing.text.endswith("\x1b")


def test_characters_that_the_model_lacks_are_named_and_read_as_unknown() -> None:
    writing = session("char", "the \u4e2d")
    assert writing.unknown == ["\u4e2d"]
    assert writing.likeliest(1)
    assert writing.extend("word")


def test_wrong_settings_are_refused_and_those_of_before_stay() -> None:
    writing = session("char")
    for wrong, message in (
        ({"temperatur": 1}, "temperatur"),
        ({"temperature": -1}, "temperature"),
        ({"pattern": "a+"}, "`pattern` is for a whole text"),
        ({"max_copy": 5}, "`max_copy` needs the training text"),
        ({"temperature_end": 0.5}, "temperature_end"),
        ({"allowed": "\u4e2d"}, "leave nothing"),
    ):
        with pytest.raises(ConfigError, match=message):
            writing.change(**wrong)
        assert writing.config == GenerationConfig()
    writing.change(banned="e", temperature=1.5)
    assert "e" not in writing.extend("line")
    with pytest.raises(ConfigError, match="`unit` must be one of"):
        writing.extend("page")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="`seed`"):
        session("char", seed=-1)
