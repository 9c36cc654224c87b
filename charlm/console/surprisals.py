"""Surprisals and minimal pairs: aligned tables on a terminal, data in a pipe."""

import shutil
import sys
from collections import deque
from collections.abc import Iterable, Iterator

from charlm.console.streams import on_one_line, talk
from charlm.console.tables import print_aligned, print_rows, shown
from charlm.errors import counted
from charlm.inference.surprisal.columns import (
    MEASURES,
    Columns,
    accuracy_record,
    pair_record,
)
from charlm.inference.surprisal.neural_complexity import complexities
from charlm.inference.surprisal.pairs import Accuracy, PairCounts, PairScore
from charlm.inference.surprisal.text import Surprisal, SurprisalSums

__all__ = ["show_pairs", "show_scored"]


def show_scored(
    rows: Iterable[Surprisal | SurprisalSums],
    columns: Columns,
    *,
    format: str | None,
    as_json: bool,
) -> None:
    """Print a row for each surprisal, without a format as an aligned table on a terminal and as TSV
    elsewhere; their sums, with those of a static model, go to stderr.
    """
    units = without_sums(rows)
    if format == "neural-complexity":
        show_complexities(units, columns.measure, as_json=as_json)
        return
    format = "jsonl" if as_json else format or default_format()
    if format == "table":
        show_lines(units, columns)
    else:
        print_rows(map(columns.record, units), format)


def without_sums(rows: Iterable[Surprisal | SurprisalSums]) -> Iterator[Surprisal]:
    """The rows; the sums of the surprisals, with those of a static model, are printed on stderr."""
    for row in rows:
        if isinstance(row, Surprisal):
            yield row
        else:
            bits = [nats * MEASURES["bits"] for nats in (row.nll, row.static)]
            talk().print(f"in all {bits[0]:,.2f} bits; static {bits[1]:,.2f} bits")


def default_format() -> str:
    """The format for stdout: a table on a terminal, else TSV."""
    return "table" if sys.stdout.isatty() else "tsv"


def show_lines(rows: Iterable[Surprisal], columns: Columns) -> None:
    """An aligned table: surprisal, entropy, rank, text, guesses; cut at the terminal's edge."""
    width = shutil.get_terminal_size().columns
    scale, write = MEASURES[columns.measure], sys.stdout.write
    widths: dict[str, int] = {}
    for number, row in enumerate(rows):
        if not number:
            widths = widths_of_cells(row)
            names = "".join(f"{name:{wide}}  " for name, wide in widths.items())
            heads = f"{'surprisal':>10}{'entropy':>9}{'rank':>8}  {names}text ({columns.measure})"
            write(on_one_line(heads, width) + "\n")
        cells = [f"{row.cells.get(name, ''):{wide}}" for name, wide in widths.items()]
        label = "  ".join([*cells, f"«{row.text}»"])
        if row.guesses:
            label += "  expected " + ", ".join(f"«{text}» {p:.2f}" for text, p in row.guesses)
        figures = f"{row.nll * scale:10.2f}{row.entropy * scale:9.2f}{row.rank:8,}  "
        write(figures + on_one_line(label, max(1, width - len(figures))) + "\n")


def widths_of_cells(row: Surprisal) -> dict[str, int]:
    """The columns of a table that are shown and how wide they are, to judge by its first row: all
    but the last that only repeats the text.
    """
    repeats = [name for name, cell in row.cells.items() if cell == row.text][-1:]
    cells = {name: cell for name, cell in row.cells.items() if name not in repeats}
    return {name: max(len(name), len(cell)) for name, cell in cells.items()}


def show_complexities(rows: Iterable[Surprisal], measure: str, *, as_json: bool) -> None:
    """A row for each word under the names that neural-complexity prints, spaces between."""
    records = complexities(rows, MEASURES[measure])
    if as_json:
        print_rows(records, "jsonl")
        return
    for number, record in enumerate(records):
        if not number:
            sys.stdout.write(" ".join(record) + "\n")
        sys.stdout.write(" ".join(map(shown, record.values())) + "\n")


def show_pairs(scores: Iterable[PairScore], *, each: bool, format: str | None) -> None:
    """The accuracy per group; with ``each`` a row per pair, and the accuracy of all on stderr."""
    counts = PairCounts()
    passing, own = counts.count(scores), format or default_format()
    if not each:
        deque(passing, maxlen=0)  # all are counted before any is printed
        found = counts.accuracies()
        if format in (None, "table"):
            print_accuracies(found)
        else:
            print_rows(map(accuracy_record, found), own)
    else:
        show_each(passing) if own == "table" else print_rows(map(pair_record, passing), own)
        whole = counts.accuracies()[0]
        talk().print(
            f"accuracy {whole.accuracy:.3f} ± {whole.se:.3f} s.e. ({counted(whole.pairs, 'pair')})"
        )


def show_each(scores: Iterable[PairScore]) -> None:
    """An aligned line for each pair: both nll in nats, the result, the sentences."""
    width = shutil.get_terminal_size().columns
    for number, score in enumerate(scores):
        if not number:
            sys.stdout.write(f"{'good nats':>10}{'bad nats':>10}{'':>8}  good | bad\n")
        mark = "right" if score.correct else "tie" if score.good == score.bad else "wrong"
        figures = f"{score.good:10.2f}{score.bad:10.2f}{mark:>8}  "
        text = f"{score.pair.good} | {score.pair.bad}"
        sys.stdout.write(figures + on_one_line(text, max(1, width - len(figures))) + "\n")


def print_accuracies(found: Iterable[Accuracy]) -> None:
    """Accuracies as an aligned table."""
    rows = (
        [f"{row.accuracy:.3f}", f"{row.se:.3f}", f"{row.pairs:,}", f"{row.ties:,}",
         f"{row.unknown:,}", f"{row.group} {row.name}"]
        for row in found
    )  # fmt: skip
    titles = ["accuracy", "s.e.", "pairs", "ties", "unknown", "group"]
    print_aligned([titles, *rows], left=[len(titles) - 1])
