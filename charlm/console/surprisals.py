"""Surprisals and minimal pairs as tables and JSON."""

import csv
import json
import math
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from charlm.console.streams import print_json, talk
from charlm.errors import ConfigError
from charlm.inference.surprisal.neural_complexity import Complexity
from charlm.inference.surprisal.pairs import Accuracy, PairScore, Tally
from charlm.inference.surprisal.regions import RegionSurprisal
from charlm.inference.surprisal.text import Surprisal

__all__ = ["show_complexities", "show_pairs", "show_regions", "show_surprisals"]

PER_NAT = {"nats": 1.0, "bits": 1 / math.log(2), "log10": 1 / math.log(10)}


def show_surprisals(
    rows: Iterable[Surprisal], measure: str, *, as_json: bool, top: int = 0
) -> None:
    """One row per unit: number, document, text (as a JSON string), and its measures."""
    records = (
        {"index": row.index, "document": row.document, "text": row.text}
        | measured(row, measure, top)
        for row in rows
    )
    print_objects(records) if as_json else print_table(records)


def show_regions(
    rows: Iterable[RegionSurprisal], measure: str, *, as_json: bool, top: int = 0
) -> None:
    """One row per region: the cells of the table that it came from, and its measures.

    Raises ``ConfigError`` if a column of the table has the name of a measure.
    """
    records = (beside(row.cells, measured(row.surprisal, measure, top)) for row in rows)
    if as_json:
        print_objects(records)
        return
    writer = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    for number, record in enumerate(records):
        if not number:
            writer.writerow(record)
        writer.writerow(map(shown, record.values()))


def measured(row: Surprisal, measure: str, top: int) -> dict[str, Any]:
    """The measures of a unit, and so many columns for guesses as are asked for."""
    scale = PER_NAT[measure]
    record: dict[str, Any] = {
        f"surprisal_{measure}": row.nll * scale,
        "tokens": row.tokens,
        "oov": row.oov,
        f"entropy_{measure}": row.entropy * scale,
        f"entropy_reduction_{measure}": row.reduction * scale,
        "rank": row.rank,
    }
    for number in range(top):
        guess = row.guesses[number] if number < len(row.guesses) else (None, None)
        record |= dict(zip((f"guess_{number + 1}", f"p_{number + 1}"), guess, strict=True))
    return record


def beside(cells: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its measures behind it."""
    for name in record:
        if name in cells:
            raise ConfigError(f"the table has a column {name!r} already", "rename or drop it")
    return {**cells, **record}


def show_complexities(rows: Iterable[Complexity], measure: str, *, as_json: bool) -> None:
    """One row per word under the names that neural-complexity prints, spaces between."""
    scale = PER_NAT[measure]
    records = (
        row._asdict()
        | {"surp": row.surp * scale, "entropy": row.entropy * scale, "entred": row.entred * scale}
        for row in rows
    )
    if as_json:
        print_objects(records)
        return
    for number, record in enumerate(records):
        if not number:
            sys.stdout.write(" ".join(record) + "\n")
        sys.stdout.write(" ".join(map(shown, record.values())) + "\n")


def show_pairs(scores: Iterable[PairScore], *, each: bool, as_json: bool) -> None:
    """The accuracy per group; or else one row per pair, and the accuracy of all as talk."""
    tally = Tally()
    if each:
        records = map(pair_record, tally.count(scores))
        print_objects(records) if as_json else print_table(records)
        whole = tally.accuracies()[0]
        talk().print(f"accuracy {whole.accuracy:.3f} ± {whole.se:.3f} ({whole.pairs:,} pairs)")
        return
    for _ in tally.count(scores):
        pass
    if as_json:
        print_objects(map(accuracy_record, tally.accuracies()))
    else:
        print_accuracies(tally.accuracies())


def print_accuracies(accuracies: Iterable[Accuracy]) -> None:
    """Columns for people."""
    sys.stdout.write("accuracy   s.e.    pairs   ties  unknown  group\n")
    for found in accuracies:
        sys.stdout.write(
            f"{found.accuracy:8.3f}  {found.se:5.3f}  {found.pairs:7,}  {found.ties:5,}  "
            f"{found.unknown:7,}  {found.group} {found.name}".rstrip()
            + "\n"
        )


def pair_record(score: PairScore) -> dict[str, Any]:
    """A pair; log-probabilities in nats."""
    return {
        "field": score.pair.field,
        "UID": score.pair.uid,
        "good": score.pair.good,
        "bad": score.pair.bad,
        "good_nats": score.good,
        "bad_nats": score.bad,
        "difference_nats": score.difference,
        "correct": int(score.correct),
        "oov": score.oov,
    }


def accuracy_record(found: Accuracy) -> dict[str, Any]:
    """How a group of pairs was judged."""
    return {
        "group": found.group,
        "name": found.name,
        "pairs": found.pairs,
        "accuracy": found.accuracy,
        "se": found.se,
        "ties": found.ties,
        "unknown": found.unknown,
    }


def print_objects(records: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    for record in records:
        print_json(record, flush=False)


def print_table(records: Iterable[Mapping[str, Any]]) -> None:
    """Columns with tabs between them, texts as JSON strings.

    The header comes with the first row: what cannot be scored has no table.
    """
    for number, record in enumerate(records):
        if not number:
            sys.stdout.write("\t".join(record) + "\n")
        cells = (quoted(value) if isinstance(value, str) else shown(value)
                 for value in record.values())  # fmt: skip
        sys.stdout.write("\t".join(cells) + "\n")


def quoted(text: str) -> str:
    """A text that has no tab or line break in it, whatever it was."""
    return json.dumps(text, ensure_ascii=False)


def shown(value: Any) -> str:
    """A value as a cell; a number has six places."""
    if value is None:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else str(value)
