"""Ranked lists as text: in the format that the lists came in, or as JSON."""

from charlm.data.formats.json_lines import json_line
from charlm.data.formats.nbest_lines import SEPARATOR, TOTAL
from charlm.inference.rescoring.hypotheses import RankedList, RescoredHypothesis
from charlm.inference.rescoring.job import RescoringJob

__all__ = ["format_list"]


def format_list(
    ranked: RankedList, job: RescoringJob, *, everything: bool = False, as_json: bool = False
) -> str:
    """The lines of the best hypothesis, or of all of them, each with its line break.

    Totals have the sign that the given scores had.  ``as_json`` gives one object a line with all
    figures, whatever the format of the lists; there, higher is always better.
    """
    rows = ranked.rows if everything else (ranked.rows[ranked.best],)
    if as_json:
        return "".join(json_line(figures(ranked.id, row)) for row in rows)
    lines = "".join(format_row(ranked.id, row, job, everything=everything) for row in rows)
    return lines + ("\n" if everything and job.file.format == "plain" else "")


def figures(id: str, row: RescoredHypothesis) -> dict[str, object]:
    """Everything that is known of a hypothesis, for JSON."""
    return {
        "type": "hypothesis",
        "list": id,
        "line": row.hypothesis.line,
        "text": row.hypothesis.text,
        "given": row.given,
        "log_p": row.log_p,
        "words": row.words,
        "total": row.total,
    }


def format_row(id: str, row: RescoredHypothesis, job: RescoringJob, *, everything: bool) -> str:
    """A hypothesis of the list ``id`` as it came, its score replaced by the total."""
    hypothesis, total = row.hypothesis, job.sign * row.total
    if job.file.format == "kaldi":
        # The best hypothesis has the id of its list, without a number.
        return f"{hypothesis.id if everything else id} {total:.4f} {hypothesis.text}\n"
    if job.file.format == "moses":
        columns = list(hypothesis.columns)
        columns[TOTAL : TOTAL + 1] = [f"{total:.4f}"]
        return f" {SEPARATOR} ".join(columns) + "\n"
    if job.file.format == "jsonl":
        return json_line({**hypothesis.record, "score": total, "log_p": row.log_p})
    return f"{total:.4f}\t{hypothesis.text}\n" if everything else f"{hypothesis.text}\n"
