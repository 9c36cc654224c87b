"""Text in rows: JSON Lines, CSV, TSV, Parquet, saved datasets and the Hugging Face Hub.

Each row is a document.  JSON and delimited tables are read with the standard library: the
``datasets`` library guesses types, and makes a date of a text that looks like one, and 7 of 007.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from charlm.config import DataConfig
from charlm.data.sources import huggingface
from charlm.data.sources.delimited import LONGEST_CELL, named_rows
from charlm.data.sources.lines import read_lines
from charlm.data.sources.lists import list_items
from charlm.data.sources.pieces import TextFile, blocks_of, printable, standard_encoding
from charlm.errors import CharlmError, CorpusError, counted
from charlm.untrusted import parse_json

__all__ = ["TextTable", "check_unicode", "kind_of", "open_hub", "open_table"]

SEPARATORS = {"csv": ",", "tsv": "\t"}
Row = dict[str, Any] | str
Place = tuple[str, int]
"""Where a row stands: its number, and whether that counts lines or rows."""


class NoTextColumn(CorpusError):
    """A table, or what its name says to be one, without the column that should hold the text."""


@dataclass(frozen=True)
class TextTable:
    """A source of rows; ``kind`` says how ``place`` is opened, ``column`` holds the text.

    ``encoding`` is that of JSON and delimited files, ``config``, ``split`` and ``streaming`` are
    for datasets.  ``remarks`` collects what the user should know of the rows read so far.
    """

    kind: str
    place: str
    column: str
    encoding: str = "utf-8"
    config: str | None = None
    split: str = "train"
    streaming: bool = True
    size: None = None
    remarks: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def name(self) -> str:
        """The name of the table in messages."""
        if self.kind != "hub":
            return printable(self.place)
        return f"hf:{self.place}" + (f"@{self.config}" if self.config else "") + f":{self.split}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know, as far as the table has been read."""
        return tuple(self.remarks.values())

    def rows(self) -> Iterator[tuple[Place, Row]]:
        """The rows and where they stand.  Raises ``CorpusError`` for whatever goes wrong."""
        try:
            if self.kind == "json":
                yield from json_rows(self)
            elif self.kind in SEPARATORS:
                yield from delimited_rows(self)
            else:
                for number, row in enumerate(dataset_rows(self), 1):
                    yield ("row", number), row
        except CharlmError:
            raise
        # The libraries below raise anything at all; to the user it is one matter.
        except Exception as error:
            raise self.failed(error) from error

    def texts(self) -> Iterator[str]:
        """The text of each row; rows whose text is null are left out, and counted in the notes.

        Raises ``CorpusError`` for a row without the column or with something else than text in it.
        """
        empty, first = 0, True
        for place, row in self.rows():
            if not isinstance(row, str) and self.column not in row:
                raise self.lacking(row, "" if first else shown_place(place))
            first = False
            text = row if isinstance(row, str) else row[self.column]
            if text is None:
                empty += 1
                continue
            if not isinstance(text, str):
                raise CorpusError(
                    f"{self.name}: column {self.column!r} of {shown_place(place)} holds "
                    f"{type(text).__name__}, not text",
                    "name a column of text with `text_column=NAME`",
                )
            if not text.isascii():
                check_unicode(text, f"{self.name}: {shown_place(place)}")
            yield text
        if empty:
            rows = counted(empty, "row")
            self.remarks["null"] = f"{self.name}: {rows} without text (null) left out"

    def lacking(self, row: dict[str, Any], where: str) -> CorpusError:
        """The error for a row without the column; ``where`` is empty for the first row."""
        if where:
            return CorpusError(
                f"{self.name}: {where} has no column {self.column!r}",
                "give each row the column, with null where there is no text",
            )
        columns = ", ".join(map(str, row)) or "none"
        return NoTextColumn(
            f"{self.name} has no column {self.column!r}; its columns are: {columns}",
            "name the one with the text with `text_column=NAME`",
        )

    def contents(self) -> Iterator[list[bytes]]:
        """The UTF-8 of each row's text, in blocks."""
        return map(blocks_of, self.texts())

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


def shown_place(place: Place) -> str:
    """A place for a message."""
    return f"{place[0]} {place[1]:,}" if place[1] else "the list"


def open_table(path: Path, data: DataConfig) -> TextTable:
    """A file of rows, or a folder with a saved dataset.  Raises ``CorpusError``, also where it
    lacks the column of the text.
    """
    kind, encoding = kind_of(path) or "saved", standard_encoding(data.encoding)
    return checked(TextTable(kind, str(path), data.text_column, encoding, split=data.dataset_split))


def open_hub(source: str, data: DataConfig) -> TextTable:
    """A dataset of the Hub, ``hf:owner/name[@configuration][:split]``.  Raises ``CorpusError``."""
    match = huggingface.HUB_NAME.fullmatch(source)
    if match is None:
        raise CorpusError(
            f"{printable(source)} is no name of a Hub dataset",
            "write hf:owner/name, hf:owner/name@configuration or hf:owner/name@configuration:split",
        )
    split, streaming = match["split"] or data.dataset_split, data.streaming
    return checked(
        TextTable(
            "hub",
            match["name"],
            data.text_column,
            config=match["config"],
            split=split,
            streaming=streaming,
        )
    )


def checked(table: TextTable) -> TextTable:
    """``table``, after its first text was read, so that a wrong column is found at once."""
    next(table.texts(), None)
    return table


def check_unicode(text: str, where: str) -> None:
    """Raise ``CorpusError`` for half a surrogate pair, which JSON can spell and UTF-8 cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CorpusError(
            f"{where}: character {error.start:,} is half a surrogate pair, which is not text",
            "mend it or leave it out",
        ) from None


def kind_of(path: Path) -> str | None:
    """Which reader of rows a file's name asks for; None where it names no table."""
    name = path.name.lower().removesuffix(".gz")
    kinds = {".json": "json", ".jsonl": "json", ".ndjson": "json", ".csv": "csv", ".tsv": "tsv"}
    kinds[".parquet"] = "parquet"
    return kinds.get(Path(name).suffix)


def lines_of(table: TextTable) -> Iterator[str]:
    """The lines of a file of rows, each at most as long as the longest cell."""
    return read_lines(TextFile(Path(table.place), table.name), table.encoding, LONGEST_CELL)


def json_rows(table: TextTable) -> Iterator[tuple[Place, Row]]:
    """Objects or texts: one a line, or all in one list.  Raises ``CorpusError``."""
    file = TextFile(Path(table.place), table.name)
    head = next((str(piece.text) for piece in file.pieces(table.encoding)), "")
    if head.lstrip("\ufeff \t\r\n").startswith("["):
        texts = (str(piece.text) for piece in file.pieces(table.encoding))
        try:
            for number, text in enumerate(list_items(texts, LONGEST_CELL), 1):
                place = ("row", number)
                yield place, json_row(text, table, place)
        except ValueError as error:
            raise no_json(table, ("row", 0), error) from None
        return
    for number, line in enumerate(lines_of(table), 1):
        if line.strip():
            place = ("line", number)
            yield place, json_row(line, table, place)


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON.  Raises ``ValueError`` for a name that stands in it twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        ((twice, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"{twice!r} stands twice in an object")
    return found


DECODER = json.JSONDecoder(object_pairs_hook=unique)


JSON_HINT = "write one JSON object a line, or one list of objects"


def json_row(text: str, table: TextTable, place: Place) -> Row:
    """The row in some JSON.  Raises ``CorpusError``."""
    try:
        row = parse_json(text, decode=DECODER.decode)
    except ValueError as error:
        raise no_json(table, place, error) from None
    if isinstance(row, dict | str):
        return row
    what = f"a row is an object or a text, not {type(row).__name__}"
    raise CorpusError(f"{table.name}: {shown_place(place)}: {what}", JSON_HINT)


def no_json(table: TextTable, place: Place, error: ValueError) -> CorpusError:
    """The error for what is no JSON."""
    return CorpusError(f"{table.name} is no JSON: {shown_place(place)}: {error}", JSON_HINT)


def delimited_rows(table: TextTable) -> Iterator[tuple[Place, Row]]:
    """The rows of a CSV or TSV file, by the names in its first line.  Raises ``CorpusError``."""
    usual = SEPARATORS[table.kind]
    separator, header, rows = named_rows(
        lambda: lines_of(table), table.name, column=table.column, usual=usual
    )
    if separator != usual:
        plural = {",": "commas", ";": "semicolons", "\t": "tabs"}[separator]
        table.remarks["separator"] = f"{table.name}: cells are separated by {plural}"
    if header and table.column not in header:
        raise table.lacking(dict.fromkeys(header), "")
    if header.count(table.column) > 1:
        raise CorpusError(
            f"{table.name} has the column {table.column!r} twice", "rename one of them"
        )
    for number, row in rows:
        yield ("line", number), row


def dataset_rows(table: TextTable) -> Iterator[dict[str, Any]]:
    """The rows that the ``datasets`` library reads.  Raises whatever it raises."""
    if table.kind == "parquet":
        return huggingface.parquet_rows(table.place, table.column)
    if table.kind == "saved":
        return huggingface.saved_rows(table.place, table.column, table.split)
    return huggingface.hub_rows(
        table.place, table.config, table.split, table.column, table.streaming
    )
