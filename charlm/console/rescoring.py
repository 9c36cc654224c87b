"""Rescored lists in the format they came in or as JSON; the rest, for people, on stderr."""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.progress import Progress
from rich.table import Table

from charlm import durable
from charlm.console.streams import print_named, talk, write_text
from charlm.data.formats.references import References
from charlm.errors import CorpusError
from charlm.inference.rescoring.files import Reranking, Scored
from charlm.inference.rescoring.hypotheses import Ranked, Rescored, Weights
from charlm.inference.rescoring.weights import Report
from charlm.inference.rescoring.word_errors import WordErrors

__all__ = ["Layout", "show_rescored"]

ENDS = {"line": "a line break", "boundary": "the boundary", "none": "nothing"}
SCORES = {1: "log-likelihoods, higher is better", -1: "costs, lower is better"}


@dataclass(frozen=True)
class Layout:
    """What is printed: every hypothesis or the best, as JSON or as it came."""

    job: Reranking
    everything: bool
    as_json: bool


@dataclass
class Tally:
    """What is counted while lists pass.

    ``backwards`` of the ``ordered`` lists, those whose scores differ, begin with the worst.
    """

    lists: int = 0
    unknown: int = 0
    ordered: int = 0
    backwards: int = 0
    report: Report = field(default_factory=Report)

    def add(self, ranked: Ranked, references: References | None) -> None:
        """Count a list."""
        given = [row.given for row in ranked.rows]
        self.lists += 1
        self.unknown += sum(row.unknown > 0 for row in ranked.rows)
        self.ordered += min(given) < max(given)
        self.backwards += given[0] == min(given) < max(given)
        if references is not None:
            self.report = self.report.add(ranked, references.words[ranked.id])


def show_rescored(records: Iterable[Scored | Weights | Ranked], layout: Layout, out: str) -> None:
    """Write the lists as they come, to stdout, or whole to ``out``; then say what was done.

    Raises ``CorpusError`` if ``out`` exists.
    """
    if out != "-" and Path(out).exists():
        raise CorpusError(f"{out} exists already", "choose another name, or remove it first")
    console, tally, weights = talk(), Tally(), Weights()
    stream = None if out == "-" else io.StringIO()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("scoring", total=layout.job.count)
        for record in records:
            if isinstance(record, Scored):
                progress.advance(task, record.hypotheses)
            elif isinstance(record, Weights):
                weights = record
            else:
                tally.add(record, layout.job.references)
                write_text(listed(record, layout), stream)
    if layout.as_json:
        write_text(as_line(summary(layout.job, tally, weights)), stream)
    if stream is not None:
        durable.write_text(Path(out), stream.getvalue())
    tell(layout.job, tally, weights)


def listed(ranked: Ranked, layout: Layout) -> str:
    """The lines of a list."""
    rows = ranked.rows if layout.everything else (ranked.rows[ranked.best],)
    lines = "".join(line_of(ranked.id, row, layout) for row in rows)
    apart = layout.everything and layout.job.file.format == "plain" and not layout.as_json
    return lines + ("\n" if apart else "")


def line_of(id: str, row: Rescored, layout: Layout) -> str:
    """One hypothesis, its total with the sign that the given score had."""
    hypothesis, total = row.hypothesis, layout.job.sign * row.total
    if layout.as_json:
        figures = {"given": row.given, "log_p": row.log_p, "words": row.words, "total": row.total}
        about = {"type": "hypothesis", "list": id, "line": hypothesis.line}
        return as_line({**about, "text": hypothesis.text, **figures})
    if layout.job.file.format == "jsonl":
        return as_line({**hypothesis.record, "score": total, "log_p": row.log_p})
    if layout.job.file.format == "plain":
        return f"{total:.4f}\t{hypothesis.text}\n" if layout.everything else hypothesis.text + "\n"
    return f"{hypothesis.id if layout.everything else id} {total:.4f} {hypothesis.text}\n"


def as_line(record: dict[str, Any]) -> str:
    """One object, one line."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def summary(job: Reranking, tally: Tally, weights: Weights) -> dict[str, Any]:
    """What was done, for scripts; word error rates where there are references."""
    errors = {name: error_table(found) for name, found in rates(tally.report).items()}
    return {
        "type": "summary",
        "lists": tally.lists,
        "hypotheses": job.count,
        "with_unknown": tally.unknown,
        "lm_weight": weights.lm,
        "word_bonus": weights.bonus,
        "end": job.end,
        **({} if job.references is None else errors),
    }


def rates(report: Report) -> dict[str, WordErrors]:
    """The three choices from each list."""
    return {"given": report.given, "rescored": report.rescored, "oracle": report.oracle}


def error_table(found: WordErrors) -> dict[str, float]:
    """A rate and what it counts."""
    return {
        "wer": found.rate,
        "substitutions": found.substitutions,
        "deletions": found.deletions,
        "insertions": found.insertions,
        "words": found.words,
    }


def tell(job: Reranking, tally: Tally, weights: Weights) -> None:
    """Say what was done, what to take care of, and how many words are wrong."""
    rows = {
        "read": f"{job.count:,} hypotheses in {tally.lists:,} lists ({job.file.format})",
        "end": f"each hypothesis was scored with {ENDS[job.end]} behind it",
        "weights": f"--lm-weight {weights.lm:g} --word-bonus {weights.bonus:g}",
    }
    if tally.ordered:
        rows["scores"] = SCORES[job.sign]
    if 2 * tally.backwards > tally.ordered:
        other = "cost" if job.sign > 0 else "loglik"
        rows["note"] = (
            f"in {tally.backwards:,} of {tally.ordered:,} lists the first hypothesis has the worst "
            f"score: perhaps --given {other}?"
        )
    if job.file.format == "plain" and tally.lists == 1 and job.count > 2:
        rows["note"] = (
            "there is no empty line, so all are hypotheses of one list; "
            "lists of several utterances need them, or lines of id, score and text"
        )
    if tally.unknown:
        rows["unknown"] = f"{tally.unknown:,} hypotheses hold what was never seen in training"
    console = talk()
    for name, text in rows.items():
        print_named(console, name, text)
    if job.references is not None:
        console.print(error_rates(tally.report))


def error_rates(report: Report) -> Table:
    """Word error rates before and after, and the least that the lists allow."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("best by")
    for title in ("WER", "errors", "subst.", "deleted", "inserted", "of words"):
        table.add_column(title, justify="right")
    for name, found in rates(report).items():
        counts = (found.errors, found.substitutions, found.deletions, found.insertions, found.words)
        table.add_row(name, f"{found.rate:.2%}", *(f"{count:,}" for count in counts))
    return table
