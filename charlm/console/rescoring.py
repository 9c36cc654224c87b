"""Write rescored lists to stdout or a file, and a report for people to stderr."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from charlm import durable
from charlm.console.streams import print_named, progress_bar, talk, write_text
from charlm.data.formats.json_lines import json_line
from charlm.errors import counted
from charlm.inference.rescoring.hypotheses import RankedList
from charlm.inference.rescoring.job import RescoringJob, RescoringProgress
from charlm.inference.rescoring.output import format_list
from charlm.inference.rescoring.summary import ErrorReport, RescoringSummary

__all__ = ["show_rescored"]

ENDS = {"line": "a line break", "boundary": "the boundary", "none": "nothing"}
LINES = {
    "kaldi": "id score text",
    "moses": "id ||| text ||| features ||| score",
    "jsonl": "a JSON object a line",
    "plain": "a line is text and nothing else",
}
SCORES = {False: "log-likelihoods, higher is better", True: "costs, lower is better"}

IN_MEMORY = 1 << 24
"""Bytes of lines that are held in memory; more go into a temporary file."""

BLOCK = 1 << 16
"""Characters that are written at a time."""


def show_rescored(
    records: Iterable[RescoringProgress | RankedList | RescoringSummary],
    job: RescoringJob,
    out: str,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Write all lists to stdout, or to the file ``out``; then print a report on stderr.

    Nothing is written before the last list is ranked, so that a part of a result
    is never taken for the whole.  Raises ``CorpusError`` if ``out`` exists or cannot be written.
    """
    if out != "-":
        durable.check_output(Path(out))
    console, summary = talk(), None
    with tempfile.SpooledTemporaryFile(IN_MEMORY, "w+", encoding="utf-8", newline="") as lines:
        with progress_bar() as progress:
            task = progress.add_task("scoring", total=job.count)
            for record in records:
                if isinstance(record, RescoringProgress):
                    progress.advance(task, record.hypotheses)
                elif isinstance(record, RescoringSummary):
                    summary = record
                else:
                    text = format_list(record, job, everything=everything, as_json=as_json)
                    lines.write(text)
        assert summary is not None
        if as_json:
            lines.write(json_line(summary.record()))
        hand_over(lines, out)
    print_report(console, summary)


def hand_over(lines: IO[str], out: str) -> None:
    """Copy all lines to stdout or into the file ``out``."""
    lines.seek(0)
    blocks = iter(lambda: lines.read(BLOCK), "")
    if out != "-":
        durable.write_output(Path(out), (block.encode() for block in blocks))
    else:
        for block in blocks:
            write_text(block)


def print_report(console: Console, summary: RescoringSummary) -> None:
    """Print what was read and how it was scored, doubts about the input, and word error rates."""
    for name, text in [*facts(summary), *doubts(summary)]:
        print_named(console, name, text)
    if summary.errors is not None:
        console.print(error_rates(summary.errors))


def facts(summary: RescoringSummary) -> Iterable[tuple[str, str]]:
    """What was read, and how it was scored."""
    sizes = f"{summary.smallest:,}"
    if summary.largest > summary.smallest:
        sizes += f" to {summary.largest:,}"
    hypotheses = counted(summary.hypotheses, "hypothesis", "hypotheses")
    lists = counted(summary.lists, "list")
    kind = f"{summary.format}: {LINES[summary.format]}"
    yield "read", f"{hypotheses} in {lists} of {sizes} ({kind})"
    yield "end", f"each hypothesis was scored with {ENDS[summary.end]} behind it"
    weights = summary.weights
    yield "weights", f"--lm-weight {weights.lm:g} --word-bonus {weights.bonus:g}"
    if summary.ordered:
        yield "scores", SCORES[summary.costs]


def doubts(summary: RescoringSummary) -> Iterable[tuple[str, str]]:
    """Notes on what suggests that the lists were read differently from what was meant."""
    if summary.runs_backwards:
        first = f"in {summary.backwards:,} of {counted(summary.ordered, 'list', 'lists')}"
        other = "loglik" if summary.costs else "cost"
        yield "note", f"{first} the first hypothesis has the worst score: perhaps --given {other}?"
    if summary.nothing_to_choose:
        yield "note", f"every list has one hypothesis, so there is nothing to choose; {LISTS}"
    if summary.all_in_one_list:
        yield "note", f"all hypotheses are in one list; {LISTS}"
    if summary.with_unknown:
        found = counted(summary.with_unknown, "hypothesis holds", "hypotheses hold")
        yield "unknown", f"{found} words or characters that were never seen in training"


LISTS = (
    "a list is neighbouring lines of the same id, or of ids like utt1-1 utt1-2, "
    "or in plain files the lines up to an empty one"
)


def error_rates(report: ErrorReport) -> Table:
    """Word error rates before and after, and the least that the lists allow."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("best by")
    for title in ("WER", "errors", "subst.", "deleted", "inserted", "of words"):
        table.add_column(title, justify="right")
    for name, found in vars(report).items():
        counts = (found.errors, found.substitutions, found.deletions, found.insertions, found.words)
        table.add_row(name, f"{found.rate:.2%}", *(f"{count:,}" for count in counts))
    return table
