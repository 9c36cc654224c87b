"""The laws of a writing session: undoing, seeds, and a state that follows the text."""

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charlm.config import GenerationConfig
from charlm.errors import ConfigError
from charlm.inference.generation.writing.session import WritingSession
from charlm.inference.generation.writing.units import last_unit
from tests.inference.generation.generating import generate
from tests.inference.generation.writing.sessions import fresh_log_probs, parts, session
from tests.inference.toys import KINDS

torch.set_num_threads(1)

PILOT = "\U0001f469\U0001f3fd\u200d\U0001f680"  # one character of four code points
UNITS = ("character", "word", "line", "paragraph")
WARM = GenerationConfig(temperature=0.9, repetition_penalty=1.1)


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
        ("one\r\ntwo\r\nthree", "line", "\r\nthree"),
        ("one\r\ntwo\r\n", "line", "\r\ntwo\r\n"),
        ("one\r\n\r\ntwo\r\nthree\r\n", "paragraph", "\r\n\r\ntwo\r\nthree\r\n"),
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
