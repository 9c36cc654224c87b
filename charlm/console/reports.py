"""Training as JSON: one object per report."""

import shlex
from collections.abc import Generator, Iterable
from dataclasses import asdict
from typing import Any, cast

from charlm.console.streams import print_json
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.errors import CharlmError
from charlm.training.reports import Done, Report, Started, Stepped

__all__ = ["counted", "print_reports"]

EVERY = 10
"""Steps between two objects."""


def print_reports(records: Iterable[Preparing | Prepared | Report]) -> Done:
    """Print every report but most of the steps; returns the last one.

    Where stdout fails, for example because ``head`` has read enough, the training is closed, which
    saves it.  Raises ``CharlmError`` then.
    """
    last, run = None, ""
    for record in records:
        last = record
        run = record.run if isinstance(record, Started) else run
        try:
            print_report(record)
        except OSError as error:
            cast("Generator[object]", records).close()
            raise CharlmError(
                f"standard output: {error.strerror}; training ended",
                f"charlm train --out {shlex.quote(run)}" if run else "send it somewhere: > FILE",
            ) from error
    assert isinstance(last, Done)
    return last


def print_report(record: Preparing | Prepared | Report) -> None:
    """Print one report, if it is one of those that are printed.  Raises ``OSError``."""
    if isinstance(record, Prepared):
        print_json({"type": "prepared", **counted(record)})
    elif isinstance(record, Stepped) and record.step % EVERY:
        return
    elif not isinstance(record, Preparing):
        print_json({"type": type(record).__name__.lower(), **asdict(record)})


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
