"""Rows become documents, exactly, and whatever goes wrong below becomes one of our errors."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import datasets
import pytest

from charlm.config import DataConfig
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
