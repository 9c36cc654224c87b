"""Tables of cells between commas, semicolons or tabs: no cell and no row gets lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from charlm.data.sources import delimited, tables
from charlm.errors import CorpusError
from tests.data.sources.test_tables import corpus, texts


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'text\na\n"b" c\n', "is no table: line 3"),
        (b'text\n"never closed\n\n', "is no table: .*unexpected end of data"),
        (b"text\ncaf\xe9\n", "byte 0xe9 at offset 8 .*, in line 2$"),
        (b"text\nthe king, who is dead, came\n", "line 2 has 3 cells, and the header has 1$"),
        (b"n,text\n1,a\n\n2\n", "line 4 has 1 cell, and the header has 2$"),
        (b"n,text,text\n1,a,b\n", "has the column 'text' twice$"),
    ],
)
def test_a_broken_csv_is_named_by_its_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(CorpusError, match=f"(?m){message}") as caught:
        list(corpus(tmp_path / "a.csv").pieces())
    assert str(caught.value).startswith(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ('1\t"the king is dead.\n2\tsays"\n', ['"the king is dead.', 'says"']),
        ('1\ta "b" c\n2\t"b" c\n', ['a "b" c', '"b" c']),
        ('1\t"a ""b""\tc"\n2\t""\n3\t"\n', ['a "b"\tc', '"']),
        ('1\t"a\nb ""c""\n"\n2\t"d\n', ['a\nb "c"\n', '"d']),
    ],
)
def test_in_tsv_a_quote_is_text_except_around_a_whole_cell(
    rows: str, expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "a.tsv").write_text("n\ttext\n" + rows)
    assert texts(corpus(tmp_path / "a.tsv")) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("n\ttext\n1\ta\tb\n", "line 2 has 3 cells, and the header has 2$"),
        ("n\ttext\n1\ta\n2\n", "line 3 has 1 cell, and the header has 2$"),
        ('n\ttext\n1\t"a\nb\n3\tc\n', "line 3 has 1 cell, and the header has 2$"),
    ],
)
def test_tsv_rows_of_another_width_are_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(content)
    with pytest.raises(CorpusError, match=f"(?m){message}"):
        list(corpus(tmp_path / "a.tsv").pieces())


def test_the_table_that_excel_writes_is_read_and_its_separator_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('id;text\r\n1;"caf\xe9; a"\r\n2;b, c\r\n'.encode("cp1252"))
    with pytest.raises(CorpusError, match="byte 0xe9"):
        corpus(path)
    text = corpus(path, encoding="cp1252")
    assert texts(text) == ["caf\xe9; a", "b, c"]
    assert text.notes == (f"{path}: cells are separated by semicolons",)
    path.write_text("text;id\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="no column 'body'; its columns are: text;id"):
        corpus(path, text_column="body")


def test_the_encoding_holds_for_tables_of_every_kind(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text\né\n".encode("utf-16"))
    (tmp_path / "a.jsonl").write_bytes('{"text": "é"}\n'.encode("utf-16"))
    (tmp_path / "a.json").write_bytes('[{"text": "é"}]'.encode("utf-16"))
    for name in ("a.csv", "a.jsonl", "a.json"):
        assert texts(corpus(tmp_path / name, encoding="utf-16")) == ["é"]
        assert texts(corpus(tmp_path / name, encoding="utf-16", raw=True)) == ["é".encode()]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl"])
def test_a_row_of_absurd_size_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "LONGEST_CELL", 1 << 20)
    (tmp_path / name).write_text('"text"\n"ok"\n' + "x" * 3_000_000)
    with pytest.raises(CorpusError, match=r"line 3 is longer than 1,048,576 characters"):
        list(corpus(tmp_path / name, text_column="text").pieces())


def test_a_cell_of_absurd_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "LONGEST_CELL", 1 << 20)
    (tmp_path / "a.csv").write_text('text\n"' + "some words\n" * 300_000 + '"\n')
    with pytest.raises(CorpusError, match=r"line [\d,]+: field larger than field limit"):
        list(corpus(tmp_path / "a.csv").pieces())


def test_quotes_that_are_never_closed_cost_no_time_that_grows_with_the_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []
    quoted_row = delimited.quoted_row

    def counted(lines: list[str]) -> list[str] | None:
        parsed.append(len(lines))
        return quoted_row(lines)

    monkeypatch.setattr(delimited, "quoted_row", counted)
    (tmp_path / "a.tsv").write_text('n\ttext\n1\t"a\n' + 'b "c" d\n' * 200)
    with pytest.raises(CorpusError, match="line 3 has 1 cell"):
        list(corpus(tmp_path / "a.tsv").pieces())
    assert 0 < sum(parsed) < 20


@pytest.mark.parametrize("limit", ["LONGEST_CELL", "MOST_LINES"])
def test_a_cell_of_tabs_that_goes_on_for_ever_is_refused(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.tsv").write_text('n\ttext\n1\t"' + "b\n" * 40 + '"\n')
    assert texts(corpus(tmp_path / "a.tsv")) == ["b\n" * 40]
    held: list[int] = []
    plain_rows = delimited.plain_rows

    def counted(lines: list[str], number: int) -> Iterator[delimited.Record]:
        held.append(len(lines))
        return plain_rows(lines, number)

    monkeypatch.setattr(delimited, "plain_rows", counted)
    monkeypatch.setattr(delimited, limit, 20)
    with pytest.raises(CorpusError, match="line 3 has 1 cell"):
        list(corpus(tmp_path / "a.tsv").pieces())
    assert max(held) <= 21


def test_carriage_returns_alone_end_rows_of_a_csv_but_not_its_quoted_cells(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'text\rone\r"two\r2"\rthree\r')
    assert texts(corpus(tmp_path / "a.csv")) == ["one", "two\r2", "three"]


def test_a_csv_field_may_be_as_long_as_a_book(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\n" + "x" * 300_000 + "\n")
    assert texts(corpus(tmp_path / "a.csv")) == ["x" * 300_000]
