"""Rows become documents, exactly, and whatever goes wrong below becomes one of our errors."""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest

from charlm.config import DataConfig
from charlm.data.sources import delimited, tables
from charlm.data.sources.corpora import Corpus, open_corpus
from charlm.errors import CorpusError

AWKWARD = ["007", "NA", "null", "1.50", "2020-01-01T00:00:00", 'a\r\nb "q", é\u2028', " x ", "true"]
"""Texts that readers of tables like to turn into something else."""


def corpus(source: Path | str, *, raw: bool = False, **options: Any) -> Corpus:
    return open_corpus([str(source)], DataConfig(**options), raw=raw)


def texts(text: Corpus) -> list[str | bytes]:
    assert all(piece.starts for piece in text.pieces())
    return [piece.text for piece in text.pieces()]


def lines(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def write(path: Path, column: str = "text") -> Path:
    """A table of the awkward texts, of the kind that the name says."""
    rows = [{"id": index, column: text} for index, text in enumerate(AWKWARD)]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if ".csv" in path.name or ".tsv" in path.name:
        separator = "," if ".csv" in path.name else "\t"
        cells = [f"id{separator}{column}"]
        cells += [f"{row['id']}{separator}{quoted(str(row[column]))}" for row in rows]
        content = ("\n".join(cells) + "\n").encode()
    if path.name.endswith(".json"):
        content = json.dumps(rows, indent=1).encode()
    if path.name.endswith(".parquet"):
        datasets.Dataset.from_list(rows).to_parquet(path)
        return path
    path.write_bytes(gzip.compress(content) if path.name.endswith(".gz") else content)
    return path


NAMES = ["a.jsonl", "a.ndjson", "a.json", "a.csv", "a.tsv", "a.parquet", "a.jsonl.gz", "a.csv.gz"]


@pytest.mark.parametrize("name", [*NAMES, "A [1]*.csv", "A [1]?.PARQUET".lower()])
def test_every_kind_of_table_gives_the_texts_exactly(name: str, tmp_path: Path) -> None:
    text = corpus(write(tmp_path / name))
    assert texts(text) == AWKWARD
    assert texts(text) == AWKWARD
    assert text.size is None


def test_raw_rows_are_utf_8(tmp_path: Path) -> None:
    expected = [text.encode() for text in AWKWARD]
    assert texts(corpus(write(tmp_path / "a.jsonl"), raw=True)) == expected


def test_the_digest_of_a_table_is_that_of_its_texts(tmp_path: Path) -> None:
    first = corpus(write(tmp_path / "a.jsonl")).digest()
    assert corpus(write(tmp_path / "b.csv")).digest() == first
    assert corpus(lines(tmp_path / "c.jsonl", [{"text": "007NA"}])).digest() != first


def test_a_long_row_is_one_document_in_several_pieces(tmp_path: Path) -> None:
    long = "word " * 300_000
    path = lines(tmp_path / "a.jsonl", [{"text": long}, {"text": "b"}])
    found = list(corpus(path).pieces())
    assert [piece.starts for piece in found] == [True, False, False, True]
    assert "".join(str(piece.text) for piece in found) == long + "b"


def test_rows_of_null_are_counted_and_texts_in_a_list_are_rows(tmp_path: Path) -> None:
    rows = [{"text": "a"}, {"text": None}, {"text": ""}, {"text": "b", "n": [1]}, {"text": None}]
    text = corpus(lines(tmp_path / "a.jsonl", rows))
    assert texts(text) == ["a", "b"]
    assert text.notes == (f"{tmp_path}/a.jsonl: 2 rows without text (null) left out",)
    (tmp_path / "b.json").write_text('\ufeff["a", "b"]', encoding="utf-8")
    assert texts(corpus(tmp_path / "b.json")) == ["a", "b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_column_is_refused_at_once_with_those_that_exist(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name, column="body")
    with pytest.raises(CorpusError, match="no column 'text'; its columns are: id, body") as caught:
        corpus(path)
    assert "`text_column=NAME`" in caught.value.hint
    assert texts(corpus(path, text_column="body")) == AWKWARD


@pytest.mark.parametrize(("name", "where"), [("a.jsonl", "line 1"), ("a.parquet", "row 1")])
def test_a_column_of_numbers_is_not_text(name: str, where: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=f"column 'id' of {where} holds int, not text"):
        corpus(write(tmp_path / name), text_column="id")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"text": "a"}\n{"text": "b\n', "is no JSON: line 2"),
        (b'{"text": "a"}\n\n[1]\n', "line 3: a row is an object or a text, not list"),
        (b'{"text": "a"}\n{"text": "caf\xe9"}\n', "byte 0xe9 at offset 27 .*, in line 2$"),
        (b'{"text": "a"}\n{"n": "b"}\n', "line 2 has no column 'text'$"),
        (b'{"text": "a", "text": "b"}\n', "line 1: 'text' stands twice in an object$"),
        (b'[{"text": "a"}, ', "the list"),
        (b"[" * 100_000, "the list"),
        (b'{"text": "a"}\n{"text": "\\ud83d"}\n', "line 2: character 0 is half a surrogate pair"),
    ],
)
def test_broken_json_is_named_by_its_line(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(CorpusError, match=f"(?m){message}"):
        list(corpus(tmp_path / "a.jsonl").pieces())


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


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.jsonl.gz"])
def test_a_damaged_table_is_an_error_in_two_lines(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(b"\x80\x81 no table" * 9)
    with pytest.raises(CorpusError, match=name) as caught:
        corpus(tmp_path / name)
    assert "\n" not in str(caught.value) + caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_an_empty_table_is_an_empty_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(CorpusError, match="is empty"):
        list(corpus(tmp_path / "a.jsonl").pieces())


def test_a_saved_dataset_is_a_source_and_its_split_can_be_chosen(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = [{"id": index, "text": text} for index, text in enumerate(AWKWARD)]
    train = datasets.Dataset.from_list(rows)
    train.save_to_disk(tmp_path / "one")
    parts = {"train": train, "test": datasets.Dataset.from_dict({"text": ["held out"]})}
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "several")
    capfd.readouterr()
    assert texts(corpus(tmp_path / "one")) == AWKWARD
    assert texts(corpus(tmp_path / "several")) == AWKWARD
    assert texts(corpus(tmp_path / "several", dataset_split="test")) == ["held out"]
    with pytest.raises(CorpusError, match="no split 'valid'; its splits are: train, test"):
        corpus(tmp_path / "several", dataset_split="valid")
    with pytest.raises(CorpusError, match="its columns are: id, text"):
        corpus(tmp_path / "one", text_column="body")
    assert capfd.readouterr() == ("", "")


def test_tables_in_a_folder_are_read_and_those_without_text_named(tmp_path: Path) -> None:
    write(tmp_path / "b.parquet")
    (tmp_path / "a.txt").write_text("plain")
    (tmp_path / "meta.json").write_text('{"a": 1}')
    (tmp_path / "package.json").write_text('{\n "a": 1\n}\n')
    text = corpus(tmp_path)
    assert texts(text) == ["plain", *AWKWARD]
    assert text.notes == (f"{tmp_path}: left out meta.json, package.json",)
    (tmp_path / "a.txt").unlink()
    (tmp_path / "b.parquet").unlink()
    with pytest.raises(CorpusError, match=r"meta\.json has no column 'text'"):
        corpus(tmp_path)
