"""Text in rows: JSON Lines, CSV, TSV, Parquet, saved datasets and the Hugging Face Hub.

The only module that knows the ``datasets`` library, which it imports when it is first needed.
Each row is a document.  JSON and CSV are read with the standard library all the same: the other
reader guesses types, and makes a date of a text that looks like one, and 7 of 007.
"""

import csv
import gzip
import io
import json
import logging
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from charlm.data.sources.pieces import Piece, text_pieces
from charlm.errors import CharlmError, CorpusError

__all__ = ["TextTable", "is_saved_dataset", "is_table", "open_hub", "open_saved", "open_table"]

HUB = re.compile(
    r"hf:(?P<name>[\w-][\w.-]*(?:/[\w-][\w.-]*)?)(?:@(?P<config>[^:@]+))?(?::(?P<split>.+))?"
)
"""``hf:owner/name``, then ``@configuration`` and ``:split`` if wanted."""

Row = dict[str, Any] | str
ROWS = 256
"""Rows taken at a time from a dataset."""


@dataclass(frozen=True)
class TextTable:
    """A source of rows; ``kind`` says how ``place`` is opened, ``column`` holds the text."""

    kind: str
    place: str
    column: str
    config: str | None = None
    split: str = "train"
    streaming: bool = True
    size: None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        if self.kind != "hub":
            return self.place
        return f"hf:{self.place}" + (f"@{self.config}" if self.config else "") + f":{self.split}"

    def rows(self) -> Iterator[Row]:
        """The rows as they come.  Raises ``CorpusError`` for whatever goes wrong below."""
        try:
            yield from READERS[self.kind](self)
        except CharlmError:
            raise
        # The libraries below raise anything at all; to the user it is one matter.
        except Exception as error:
            raise self.failed(error) from error

    def texts(self) -> Iterator[str]:
        """The text of each row; rows without one are skipped.  Raises ``CorpusError``."""
        for number, row in enumerate(self.rows(), 1):
            if not isinstance(row, str) and number == 1 and self.column not in row:
                columns = ", ".join(map(str, row)) or "none"
                raise CorpusError(
                    f"{self.name} has no column {self.column!r}; its columns are: {columns}",
                    "name the one with the text: --text-column NAME",
                )
            text = row if isinstance(row, str) else row.get(self.column)
            if text is None:
                continue
            if not isinstance(text, str):
                raise CorpusError(
                    f"{self.name}: column {self.column!r} of row {number:,} holds "
                    f"{type(text).__name__}, not text",
                    "name a column of text: --text-column NAME",
                )
            check_unicode(text, f"{self.name}: row {number:,}")
            yield text

    def pieces(self, encoding: str | None) -> Iterator[Piece]:
        """The rows as pieces; as bytes where ``encoding`` is None."""
        return text_pieces(self.texts(), encoding)

    def contents(self) -> Iterator[Iterator[bytes]]:
        """The bytes of each row's text, for hashing."""
        return (iter((text.encode("utf-8"),)) for text in self.texts())

    def failed(self, error: Exception) -> CorpusError:
        """The error for what a library below raised."""
        said = " ".join(str(error).split())[:200] or type(error).__name__
        if self.kind != "hub":
            return CorpusError(
                f"{self.name} cannot be read: {said}", "check the file, or write it again"
            )
        hint = (
            "check the name, the @configuration and the :split on https://huggingface.co/datasets"
        )
        if isinstance(error, ConnectionError | TimeoutError):
            hint = "go online, or download it elsewhere with save_to_disk and give that folder"
        return CorpusError(f"{self.name} cannot be had from the Hub: {said}", hint)


def is_table(path: Path) -> bool:
    """Whether the name of ``path`` says that it holds rows."""
    return kind_of(path) is not None


def open_table(path: Path, column: str) -> TextTable:
    """A file of rows, chosen by its name.  Raises ``CorpusError`` if it has no such column."""
    return checked(TextTable(kind_of(path) or "json", str(path), column))


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``folder`` was written by ``save_to_disk``."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def open_saved(folder: str, column: str, split: str) -> TextTable:
    """A saved dataset; ``split`` counts where it has several.  Raises ``CorpusError``."""
    return checked(TextTable("saved", folder, column, split=split))


def open_hub(source: str, column: str, split: str, streaming: bool) -> TextTable:
    """A dataset of the Hub, ``hf:owner/name[@configuration][:split]``.  Raises ``CorpusError``."""
    match = HUB.fullmatch(source)
    if match is None:
        raise CorpusError(
            f"{source} is no name of a Hub dataset",
            "write hf:owner/name, hf:owner/name@configuration or hf:owner/name@configuration:split",
        )
    own = match["split"] or split
    return checked(TextTable("hub", match["name"], column, match["config"], own, streaming))


def check_unicode(text: str, where: str) -> None:
    """Raise ``CorpusError`` for half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CorpusError(
            f"{where}: character {error.start:,} is half a surrogate pair, which is not text",
            "mend or drop the row",
        ) from None


def library() -> Any:
    """The ``datasets`` library, told to draw no bars and to log nothing."""
    import datasets
    import huggingface_hub

    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(logging.CRITICAL)
    huggingface_hub.logging.set_verbosity(logging.CRITICAL)
    return datasets


def checked(table: TextTable) -> TextTable:
    """``table``, after a look at its first text, so that a wrong column is found at once."""
    next(table.texts(), None)
    return table


def kind_of(path: Path) -> str | None:
    """Which reader a file's name asks for."""
    name = path.name.lower().removesuffix(".gz")
    kinds = {".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv", ".tsv": "tsv"}
    kinds[".parquet"] = "parquet"
    return kinds.get(Path(name).suffix)


def json_rows(table: TextTable) -> Iterator[Row]:
    """Objects or texts: one a line, or all in one list."""
    number = 0
    with opened(table.place) as file, named(table, "JSON", lambda: number):
        if file.readline().lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
            file.seek(0)
            yield from map(json_row, json.loads(file.read().decode("utf-8-sig")))
            return
        file.seek(0)
        for number, line in enumerate(file, 1):
            if line.strip():
                yield json_row(json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8")))


def json_row(row: Any) -> Row:
    """``row`` if it can be one.  Raises ``ValueError``."""
    if not isinstance(row, dict | str):
        raise ValueError(f"a row is an object or a text, not {type(row).__name__}")
    return row


def csv_rows(table: TextTable) -> Iterator[Row]:
    """The rows of a CSV or TSV file, by the names in its first line."""
    # The library's own limit would refuse a field as long as a book.
    csv.field_size_limit((1 << 31) - 1)
    with (
        opened(table.place) as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as lines,
    ):
        separator = "," if table.kind == "csv" else "\t"
        reader = csv.DictReader(lines, delimiter=separator, strict=True)
        with named(table, "table", lambda: reader.reader.line_num):
            yield from reader


def opened(place: str) -> IO[bytes]:
    """A file, through gzip if its name says so."""
    packed = place.lower().endswith(".gz")
    return gzip.open(place) if packed else Path(place).open("rb")  # type: ignore[return-value]


@contextmanager
def named(table: TextTable, what: str, line: Callable[[], int]) -> Iterator[None]:
    """Turn what is wrong with a file of rows into an error that names the line."""
    try:
        yield
    except (ValueError, RecursionError, csv.Error) as error:
        where = f"line {line():,}" if line() else "the list"
        raise CorpusError(
            f"{table.name} is no {what}: {where}: {error}",
            "write a header line and one row a line, quoted where needed"
            if what == "table"
            else "write one JSON object a line, or one list of objects",
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise CorpusError(f"{table.name} is damaged: {error}", "get the file again") from None


def parquet_rows(table: TextTable) -> Iterable[Row]:
    """The rows of a Parquet file, in a stream; nothing is copied to a cache."""
    # A glob pattern would be read into a name with brackets.
    place = str(Path(table.place).absolute()).translate({ord(sign): f"[{sign}]" for sign in "[*?"})
    return only(
        library().load_dataset("parquet", data_files=place, split="train", streaming=True),
        table.column,
    )


def saved_rows(table: TextTable) -> Iterable[Row]:
    """The rows of a dataset that ``save_to_disk`` wrote."""
    dataset = library().load_from_disk(table.place)
    if isinstance(dataset, dict):
        if table.split not in dataset:
            raise CorpusError(
                f"{table.name} has no split {table.split!r}; its splits are: {', '.join(dataset)}",
                "choose one: --set data.dataset_split=NAME",
            )
        dataset = dataset[table.split]
    return only(dataset, table.column)


def hub_rows(table: TextTable) -> Iterable[Row]:
    """The rows of a dataset on the Hub; no code from there is run."""
    from datasets import load_dataset

    dataset = load_dataset(table.place, table.config, split=table.split, streaming=table.streaming)
    return only(dataset, table.column)


def only(dataset: Any, column: str) -> Iterator[Row]:
    """The rows of ``dataset``, of which nothing but ``column`` is read where it exists."""
    if column in (dataset.column_names or ()):
        dataset = dataset.select_columns([column])
    for batch in dataset.iter(ROWS):
        if column in batch:
            yield from ({column: value} for value in batch[column])
        else:
            yield dict.fromkeys(batch)


READERS: dict[str, Callable[[TextTable], Iterable[Row]]] = {
    "json": json_rows,
    "csv": csv_rows,
    "tsv": csv_rows,
    "parquet": parquet_rows,
    "saved": saved_rows,
    "hub": hub_rows,
}
