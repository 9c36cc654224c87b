"""Tables of cells between commas, semicolons or tabs, of which no cell and no row gets lost.

CSV is RFC 4180: a cell that holds a separator, a quote or a line break stands in quotes, with its
own quotes doubled.  In TSV a quote is text, except around a whole cell whose inner quotes are
doubled; such a cell may go on over lines of which none has as many cells as the header.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from charlm.errors import CorpusError, counted

__all__ = ["LONGEST_CELL", "Record", "named_rows", "read_records"]

Record = tuple[int, list[str]]
"""The number of the line in which a row ends, and its cells."""

LONGEST_CELL = 1 << 25
"""Characters of a quoted cell, which may be as long as a book."""

MOST_LINES = 1 << 20
"""Lines of a cell of TSV, which take some 60 bytes of memory beside their text."""

INNER = r'[^"]*+(?:""[^"]*+)*+'
TAB_CELL = re.compile(rf'"(?P<quoted>{INNER})"(?=\t|\Z)|(?P<plain>[^\t]*)')
OPEN_CELL = re.compile(f'"{INNER}')


def named_rows(
    lines: Callable[[], Iterable[str]], name: str, *, column: str, usual: str
) -> tuple[str, list[str], Iterator[tuple[int, dict[str, str]]]]:
    """The separator of a table, its header, and its rows by the names in the header, each with the
    number of the line in which it ends.

    ``lines`` gives the lines anew at each call.  The separator is ``usual``, unless only a comma,
    semicolon or tab makes ``column`` one of the names.  Raises what ``read_records`` does.
    """
    separator = choose_separator(next(filter(str.strip, lines()), ""), column, usual)
    records = read_records(lines(), name, separator)
    _, header = next(records, (0, []))
    rows = ((number, dict(zip(header, cells, strict=True))) for number, cells in records)
    return separator, header, rows


def choose_separator(header: str, column: str, usual: str) -> str:
    """The separator with which ``column`` is one of the cells of a header line, else ``usual``."""
    csv.field_size_limit(LONGEST_CELL)
    for separator in dict.fromkeys((usual, ",", ";", "\t")):
        with suppress(csv.Error):  # which the reader of the table reports with its line
            if column in next(csv.reader([header.rstrip("\r\n")], delimiter=separator), []):
                return separator
    return usual


def read_records(lines: Iterable[str], name: str, separator: str) -> Iterator[Record]:
    """The header and the rows of a table; blank lines are left out.

    Raises ``CorpusError`` with the number of the line for a row with more or fewer cells than the
    header, for quotes that are not in order, and for a cell that is absurdly long.
    """
    tabs = separator == "\t"
    records = tab_records(lines) if tabs else quoted_records(lines, name, separator)
    width = 0
    for number, cells in records:
        if len(cells) <= 1 and not any(cells):
            continue
        if width and len(cells) != width:
            raise CorpusError(
                f"{name}: line {number:,} has {counted(len(cells), 'cell')}, and "
                f"the header has {width:,}",
                "fill the row up, or put quotes around the cell that holds a separator",
            )
        width = len(cells)
        yield number, cells


def quoted_records(lines: Iterable[str], name: str, separator: str) -> Iterator[Record]:
    """Rows by the rules of CSV.  Raises ``CorpusError``."""
    csv.field_size_limit(LONGEST_CELL)
    reader = csv.reader(split_returns(lines), delimiter=separator, strict=True)
    try:
        yield from ((reader.line_num, cells) for cells in reader)
    except csv.Error as error:
        raise CorpusError(
            f"{name} is no table: line {reader.line_num:,}: {error}",
            "write a header line and one row a line, with quotes around cells that hold quotes, "
            "separators or line breaks",
        ) from None


def split_returns(lines: Iterable[str]) -> Iterator[str]:
    """``lines``, cut also after each carriage return that ends a line by itself."""
    for line in lines:
        if "\r" in line[:-2]:
            yield from io.StringIO(line, newline="")
        else:
            yield line


def tab_records(lines: Iterable[str]) -> Iterator[Record]:
    """Rows by the rules of TSV."""
    width = number = size = tries = 0
    held: list[str] = []  # the lines of a row whose last cell goes on
    for number, line in enumerate(lines, 1):
        if held and line.count("\t") + 1 < width:
            held.append(line)
            size += len(line)
            if '"' in line.replace('""', ""):  # which closes the cell, and may open another one
                tries += 1
                if cells := quoted_row(held):
                    yield number, cells
                    held = []
            # No row of this table has so many cells or so long a one.
            if tries > width or size > LONGEST_CELL or len(held) > MOST_LINES:
                yield from plain_rows(held, number + 1)
                held = []
            continue
        # This line is a whole row, so that a quote before it that was never closed was text.
        yield from plain_rows(held, number)
        held = []
        cells, complete = tab_cells(line)
        width = width or len(cells)
        if complete or width == 1:
            yield number, cells
        else:
            held, size, tries = [line], len(line), 0
    yield from plain_rows(held, number + 1)


def plain_rows(held: list[str], number: int) -> Iterator[Record]:
    """Each of the lines before line ``number`` as a row of its own."""
    for back, line in enumerate(held):
        yield number - len(held) + back, tab_cells(line)[0]


def tab_cells(line: str) -> tuple[list[str], bool]:
    """The cells of a line, and whether no quote that begins one of them is left open."""
    row = line.removesuffix("\n").removesuffix("\r")
    if '"' not in row:
        return row.split("\t"), True
    cells, at, complete = [], 0, True
    while at <= len(row):
        cell = TAB_CELL.match(row, at)
        assert cell is not None
        quoted = cell["quoted"]
        cells.append(cell["plain"] if quoted is None else quoted.replace('""', '"'))
        complete = complete and (quoted is not None or not OPEN_CELL.fullmatch(row, at))
        at = cell.end() + 1
    return cells, complete


def quoted_row(lines: list[str]) -> list[str] | None:
    """The cells of a row that goes over several lines; None where its quotes are not in order."""
    csv.field_size_limit(LONGEST_CELL)
    try:
        (cells,) = csv.reader(lines, delimiter="\t", strict=True)
    except (csv.Error, ValueError):
        return None
    return cells
