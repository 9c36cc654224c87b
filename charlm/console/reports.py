"""Training as JSON: one object per report."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from charlm.console.streams import print_json
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.training.reports import Done, Report, Stepped

__all__ = ["counted", "print_reports"]

EVERY = 10
"""Steps between two objects."""


def print_reports(records: Iterable[Preparing | Prepared | Report]) -> Done:
    """Print every report but most of the steps; returns the last one."""
    last = None
    for record in records:
        last = record
        if isinstance(record, Prepared):
            print_json({"type": "prepared", **counted(record)})
        elif not isinstance(record, Preparing) and not is_skipped(record):
            print_json({"type": type(record).__name__.lower(), **asdict(record)})
    assert isinstance(last, Done)
    return last


def is_skipped(record: Report) -> bool:
    """Whether a report is one of the many steps that are not printed."""
    return isinstance(record, Stepped) and record.step % EVERY != 0


def counted(prepared: Prepared) -> dict[str, Any]:
    """What is in a prepared text."""
    parts = {"train": prepared.train, "valid": prepared.valid, "test": prepared.test}
    counts = {name: asdict(part.counts) for name, part in parts.items() if part is not None}
    return {
        "tokenizer": prepared.tokenizer.kind,
        "vocab_size": prepared.tokenizer.vocab_size,
        "notes": list(prepared.notes),
        **counts,
    }
