"""Streams begin and end where they should, however the text comes in pieces."""

import numpy as np
import pytest

from charlm.config import TokenizerConfig
from charlm.data.preparation import streams as module
from charlm.data.preparation.counting import Counts
from charlm.data.preparation.encoding import EncodedPiece
from charlm.data.preparation.store import TokenStore
from charlm.data.preparation.streams import Reset, StreamPart, cut_store, cut_text
from charlm.data.sources.pieces import Piece
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.data.tokenizers.words import WordTokenizer
from charlm.errors import CorpusError
from tests.data.tokenizers.trained import train

TEXT = "ab\n\ncab\nbc"
TOKENIZER, _ = train(TokenizerConfig(kind="char"), [Piece(TEXT, True)])
BYTES, _ = train(TokenizerConfig(kind="byte"), [])

Texts = list[tuple[str, bool, int]]
"""Text, whether a document starts, number of the file."""

TWO: Texts = [("ab\nc", True, 0), ("a\n", False, 0), ("b", True, 0), ("cc\n", True, 1)]


def pieces(tokenizer: Tokenizer, texts: Texts) -> list[EncodedPiece]:
    raw = [(text.encode() if tokenizer is BYTES else text, *rest) for text, *rest in texts]
    return [EncodedPiece(tokenizer.encode(text), text, *rest) for text, *rest in raw]


def streams(tokenizer: Tokenizer, found: list[StreamPart]) -> list[str]:
    """The text of each stream, boundaries as a bar."""
    whole = [""]
    for number, part in enumerate(found):
        assert part.begins == (number == 0 or found[number - 1].ends)
        between = np.split(part.ids, np.flatnonzero(part.ids == 0))
        whole[-1] += "|".join(tokenizer.decode(ids) for ids in between)
        if part.ends:
            whole.append("")
    assert whole.pop() == ""
    return whole


@pytest.mark.parametrize("tokenizer", [TOKENIZER, BYTES], ids=["char", "byte"])
@pytest.mark.parametrize(
    ("reset", "breaks", "expected"),
    [
        ("never", True, ["ab\nca\n|b|cc\n"]),
        ("file", True, ["ab\nca\n|b", "cc\n"]),
        ("document", True, ["ab\nca\n", "b", "cc\n"]),
        ("line", True, ["ab\n", "ca\n", "b", "cc\n"]),
        ("line", False, ["ab", "ca", "b", "cc"]),
    ],
)
def test_streams_are_what_they_are_called(
    tokenizer: Tokenizer, reset: Reset, breaks: bool, expected: list[str]
) -> None:
    found = list(cut_text(tokenizer, pieces(tokenizer, TWO), reset, line_breaks=breaks))
    assert streams(tokenizer, found) == expected


@pytest.mark.parametrize("cut", range(1, len(TEXT)))
@pytest.mark.parametrize("breaks", [True, False])
def test_lines_do_not_depend_on_where_pieces_are_cut(cut: int, breaks: bool) -> None:
    texts: Texts = [(TEXT[:cut], True, 0), (TEXT[cut:], False, 0)]
    found = list(cut_text(TOKENIZER, pieces(TOKENIZER, texts), "line", line_breaks=breaks))
    lines = [line if breaks else line.rstrip("\n") for line in TEXT.splitlines(keepends=True)]
    assert streams(TOKENIZER, found) == lines


@pytest.mark.parametrize("text", ["a b\nc a\n\nb", "a <eos>\nb\n", "a\n"])
@pytest.mark.parametrize("end_of_line", [True, False])
def test_lines_of_words_are_those_of_the_text(text: str, end_of_line: bool) -> None:
    tokenizer = WordTokenizer(["a", "b", "c", "<eos>"], end_of_line=end_of_line)
    for breaks in (True, False):
        found = cut_text(
            tokenizer, pieces(tokenizer, [(text, True, 0)]), "line", line_breaks=breaks
        )
        lines = text.splitlines(keepends=breaks)
        assert [each.ids.tolist() for each in found] == [
            tokenizer.encode(line).tolist() for line in lines
        ]


def test_every_part_knows_its_document_and_line() -> None:
    found = list(cut_text(TOKENIZER, pieces(TOKENIZER, TWO), "line"))
    places = [
        (each.position.file, each.position.document, each.position.line)
        for each in found
        if each.position
    ]
    assert places == [(0, 1, 1), (0, 1, 2), (0, 1, 2), (0, 2, 1), (1, 1, 1)]


def store(*documents: str) -> TokenStore:
    parts = [part for text in documents for part in (TOKENIZER.encode(text), [0])]
    tokens = np.concatenate([[0], *parts]).astype(np.uint8)
    return TokenStore(tokens, Counts(bytes=sum(map(len, documents))))


@pytest.mark.parametrize("at_once", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("breaks", [True, False])
@pytest.mark.parametrize("reset", ["never", "document", "line"])
def test_the_tokens_of_a_part_give_the_streams_of_its_text(
    reset: Reset, breaks: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STORED_AT_ONCE", at_once)
    documents = ("ab\nca\n", "b", "\n\ncc\nb")
    texts: Texts = [(text, True, 0) for text in documents]
    of_text = cut_text(TOKENIZER, pieces(TOKENIZER, texts), reset, line_breaks=breaks)
    of_store = list(cut_store(TOKENIZER, store(*documents), reset, line_breaks=breaks))
    assert streams(TOKENIZER, of_store) == streams(TOKENIZER, list(of_text))


def test_a_part_that_does_not_keep_files_or_lines_says_so() -> None:
    with pytest.raises(CorpusError, match="do not keep where a file ends"):
        list(cut_store(TOKENIZER, store("ab"), "file"))
    one_line, _ = train(TokenizerConfig(kind="char"), [Piece("abc", True)])
    with pytest.raises(CorpusError, match=r"\(char\) do not keep where a line ends"):
        list(cut_store(one_line, store("ab"), "line"))
