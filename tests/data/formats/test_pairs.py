"""Minimal pairs come from tab-separated lines, with a header or without, from CSV and from JSON."""

from pathlib import Path

import pytest

from charlm.data.formats.listing import Listing
from charlm.data.formats.pairs import Pair, PairList
from charlm.errors import CorpusError

EXPECTED = [Pair(good='"Yes", he said', bad="Said he yes"), Pair(good="c", bad="d")]


def pairs(path: Path, content: str) -> list[Pair]:
    path.write_text(content)
    return list(PairList([Listing(str(path))]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.tsv", '"Yes", he said\tSaid he yes\nc\td\n'),
        ("a.txt", 'good\tbad\n"Yes", he said\tSaid he yes\r\n\nc\td\n'),
        ("a.txt", 'n\tsentence_bad\tsentence_good\n1\tSaid he yes\t"Yes", he said\n2\td\tc\n'),
        ("a.csv", 'good,bad\n"""Yes"", he said",Said he yes\nc,d\n'),
        ("a.csv", '"""Yes"", he said",Said he yes\nc,d\n'),
        ("a.txt", '{"sentence_good": "\\"Yes\\", he said", "sentence_bad": "Said he yes"}\nc\td'),
    ],
)
def test_pairs_are_read_from_every_form(name: str, content: str, tmp_path: Path) -> None:
    assert pairs(tmp_path / name, content) == EXPECTED


def test_a_third_column_is_the_context(tmp_path: Path) -> None:
    expected = [Pair(good="a", bad="b", context="c"), Pair(good="d", bad="e")]
    assert pairs(tmp_path / "a", "a\tb\tc\nd\te\n") == expected
    assert pairs(tmp_path / "a", "bad\tcontext\tgood\nb\tc\ta\ne\t\td\n") == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a", "good\tbad\tcontext\na\tb\n", "line 2 has 2 columns, a pair has 3"),
        ("a", "a\tb\tc\td\n", "line 1 has 4 columns, a pair has 2"),
        ("a", "good\tbad\n", "holds no pairs"),
        ("a.csv", "good,bad\na,b,c\n", "line 2 has 3 cells, and the header has 2"),
        ("a.csv", 'good,bad\n"a,b\n', "is no table: line 2"),
        ("a", "good\tbad\n \tb\n", "line 2 has no good sentence"),
        ("a", 'a\tb\n{"sentence_good": "a"', "line 2 is no JSON: "),
        ("a", '{"a": ' * 100_000, "line 1 is no JSON: "),
        ("a", '{"sentence_good": "a"}', "line 1 has no sentence_bad"),
        (
            "a",
            '{"sentence_good": 3, "sentence_bad": "b"}',
            "sentence_good that is no text: 3",
        ),
        ("a", '{"sentence_good": "a\\ud800", "sentence_bad": "b"}', "line 1: character 1 is half"),
        ("a", '{"sentence_good": "", "sentence_bad": "b"}', "line 1 has no good sentence"),
    ],
)
def test_rows_that_are_no_pairs_are_refused(
    name: str, content: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match=message):
        pairs(tmp_path / name, content)
