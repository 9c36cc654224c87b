"""What the screen of ``charlm write`` shows, for every size and every text."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("prompt_toolkit", reason="the extra write is not installed")

from charlm.console.terminal import STEERING
from charlm.console.writing.desk import Desk
from charlm.console.writing.rows import columns_of, last_rows, wrap
from charlm.console.writing.screen import KEYS, draw
from charlm.inference.generation.writing.candidates import Candidate
from charlm.inference.generation.writing.session import WritingSession
from charlm.inference.generation.writing.transcripts import Transcript
from tests.data.strings import FRAGMENTS
from tests.inference.toys import CHARS, ToyModel

TEXTS = st.lists(
    st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=9)), max_size=12
).map(lambda parts: "".join(parts))  # fmt: skip


def desk_of(text: str) -> Desk:
    session = WritingSession(ToyModel(CHARS.vocab_size), CHARS, seed=1)
    session.text = text
    return Desk(session, Transcript(Path("text.txt")))


@settings(max_examples=50, deadline=None)
@given(
    text=TEXTS, columns=st.integers(2, 100), rows=st.integers(1, 30), back=st.integers(0, 9),
    mode=st.sampled_from(["text", "settings", "help"]), message=st.sampled_from(["", "an error"]),
)  # fmt: skip
def test_every_screen_fits_and_steers_no_terminal(
    text: str, columns: int, rows: int, back: int, mode: str, message: str
) -> None:
    desk = desk_of(text)
    desk.mode, desk.message, desk.back = mode, message, back  # type: ignore[assignment]
    desk.entry = "temperature=0.8 banned=x"
    desk.candidates = [Candidate(text[:9], 0.5), Candidate("\x1b[6n\n", 0.25)]
    screen = draw(desk, columns, rows)
    assert len(screen.rows) == rows
    for row in screen.rows:
        line = "".join(part for _, part in row)
        assert columns_of(line) <= max(columns, 4)  # a tab is never divided
        assert not STEERING.search(line)
    if screen.cursor is not None:
        assert screen.cursor[0] < columns
        assert screen.cursor[1] < rows


@settings(max_examples=50, deadline=None)
@given(text=TEXTS.map(lambda text: text.replace("\n", " ")), width=st.integers(2, 40))
def test_rows_hold_the_whole_line_and_fit(text: str, width: int) -> None:
    rows = wrap(text, width)
    assert (rows[0][0], rows[-1][1]) == (0, len(text))
    for (_, end), (begin, _) in pairwise(rows):
        between = text[end:begin]  # a space that ends a full row is left out
        assert not between or (between[0], columns_of(between)) == (" ", 1)
    assert all(columns_of(text[begin:end].replace("\t", "    ")) <= max(width, 4)
               for begin, end in rows)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("the quick brown fox", ["the quick ", "brown fox"]),
        ("the quick  fox", ["the quick ", "fox"]),
        ("a" * 25, ["a" * 10, "a" * 10, "a" * 5]),
        ("日本語日本語", ["日本語日本", "語"]),
        ("e\u0301" * 12, ["e\u0301" * 10, "e\u0301" * 2]),
        ("ab\n\n\tc\r\n", ["ab", "", "    c", ""]),
        ("a\x1b[6n", ["a␛[6n"]),
    ],
)  # fmt: skip
def test_texts_are_wrapped_between_words(text: str, rows: list[str]) -> None:
    assert [before for before, _ in last_rows(text, len(text), 10, 9)] == rows


def test_what_would_be_written_anew_stands_apart_and_the_end_is_shown() -> None:
    rows = last_rows("one two\nthree four", 10, 9, 2)
    assert rows == [("th", "ree "), ("", "four")]
    assert last_rows("one\ntwo\nthree", 99, 9, 1, back=1) == [("two", "")]
    assert last_rows("one\ntwo", 99, 9, 5, back=7) == [("one", ""), ("two", "")]


def test_the_end_of_a_line_without_end_is_wrapped_alone() -> None:
    text = "word " * 100_000
    assert last_rows(text, len(text), 20, 2)[-1][0].endswith("word ")


def test_the_footer_names_every_key_where_there_is_room() -> None:
    lines = ["".join(part for _, part in row) for row in draw(desk_of(""), 80, 24).rows]
    for key, word, _ in KEYS:
        assert f"{key} {word}" in " ".join(lines[-2:])
    narrow = ["".join(part for _, part in row) for row in draw(desk_of(""), 40, 12).rows]
    for needed in ("F1 help", "Tab word", "^R again", "^Z undo", "^X end"):
        assert needed in " ".join(narrow[-2:])


def test_the_line_of_settings_sets_all_and_tells_what_is_wrong() -> None:
    desk = desk_of("")
    desk.session.change(temperature=0.5, top_k=3, banned="a ")
    desk.open_settings()
    assert desk.entry == """temperature=0.5 banned='"a "' top_k=3"""
    desk.warm(-6)
    assert desk.entry.startswith("temperature=0 ")
    desk.warm(7)
    desk.entry = desk.entry.replace(" top_k=3", " min_p=2")
    desk.take_settings()
    assert (desk.mode, desk.message[:5]) == ("settings", "min_p")
    desk.entry = desk.entry.replace("min_p=2", "min_p=0.2")
    desk.take_settings()
    config = desk.session.config
    assert (config.temperature, config.top_k, config.min_p, config.banned) == (0.7, 0, 0.2, "a ")


def test_two_quick_keys_give_two_words_and_a_key_breaks_off_what_is_longer() -> None:
    desk = desk_of("ab")
    for _ in range(2):
        desk.begin("word")
        desk.settle()
    assert [edit.unit for edit in desk.session.done] == ["word", "word"]
    desk.begin("line")
    for _ in range(9):
        assert desk.go_on()
    desk.settle()
    assert len(desk.session.done[-1].added) == 9


def test_a_continuation_can_be_broken_off_and_what_fails_is_a_message() -> None:
    desk = desk_of("ab")
    desk.begin(None)
    assert desk.message.startswith("the text does not end with what the model wrote")
    assert desk.pieces is None
    desk.begin("line")
    assert desk.go_on()
    desk.stop()
    assert len(desk.session.text) > 2
    assert len(desk.session.done) == 1
    assert not desk.go_on()
    for _ in range(2):
        desk.switch()
    assert (desk.by, desk.candidates) == (None, [])
    desk.switch()
    desk.select(5)
    assert desk.selected == 5 < len(desk.candidates)
    desk.choose()
    assert desk.session.text.endswith(desk.candidates[5].text)
