"""One line of an n-best list in each of the formats, and which format a file is in.

kaldi   ``id score text``
moses   ``id ||| text ||| features ||| score``, as Moses and Marian write; more columns may follow
jsonl   an object with ``text``, and ``id`` or ``list``, which names the list; ``score``
plain   text and nothing else
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from charlm.data.sources.tables import check_unicode
from charlm.errors import CorpusError
from charlm.untrusted import parse_json

__all__ = ["FORMATS", "PARSERS", "SEPARATOR", "TOTAL", "Hypothesis", "guess_format"]

FORMATS = ("kaldi", "plain", "jsonl", "moses")

SEPARATOR = "|||"
TEXT, TOTAL = 1, 3
"""Columns of a line of Moses: the text, and the score that sums up the features."""

WRITTEN_AS_SCORE = re.compile(r"[-+.eE]")
"""A number with a sign, a point or an exponent; years and other numbers of sentences have none."""


@dataclass(frozen=True)
class Hypothesis:
    """One line of a list.

    ``given`` is the score as it stands there, None without one.  ``record`` is the whole object of
    a line of JSON, ``columns`` are those of a line of Moses.
    """

    id: str
    text: str
    given: float | None
    line: int
    record: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] = ()


def guess_format(lines: Iterable[str]) -> str:
    """The format of a whole file, from all its lines; empty ones do not count.

    A file is ``kaldi`` or ``moses`` where more than half of its lines are: the others are then
    reported as mistakes, not taken for text.
    """
    total = moses = kaldi = 0
    for line in filter(str.strip, lines):
        if not total and line.lstrip().startswith("{"):
            return "jsonl"
        total += 1
        moses += line.count(SEPARATOR) >= 2
        kaldi += begins_with_score(line)
    if 2 * moses > total:
        return "moses"
    return "kaldi" if 2 * kaldi > total else "plain"


def begins_with_score(line: str) -> bool:
    """Whether a line begins with an id and a score, and not with words like "In 1984"."""
    columns = line.split(None, 2)
    if len(columns) < 2 or not math.isfinite(as_number(columns[1])):
        return False
    has_digit = any(char.isdecimal() for char in columns[0])
    return has_digit or WRITTEN_AS_SCORE.search(columns[1]) is not None


def parse_plain(line: str, number: int, name: str) -> Hypothesis:
    """A line that is nothing but text."""
    return Hypothesis("", line.strip(), None, number)


def parse_kaldi(line: str, number: int, name: str) -> Hypothesis:
    """``id score text``; the text may be empty.  Raises ``CorpusError``."""
    columns = line.split(None, 2)
    if len(columns) < 2:
        raise CorpusError(
            f"{name} line {number} has no score: {shortened(line)}",
            "each line is: id score text (or give `input_format=plain`)",
        )
    text = columns[2].strip() if len(columns) > 2 else ""
    return Hypothesis(columns[0], text, read_score(columns[1], number, name), number)


def parse_moses(line: str, number: int, name: str) -> Hypothesis:
    """``id ||| text ||| features ||| score``; without a fourth column there is no score.

    Raises ``CorpusError``.
    """
    columns = tuple(column.strip() for column in line.split(SEPARATOR))
    if len(columns) <= TEXT + 1 or not columns[0]:
        raise CorpusError(
            f"{name} line {number} has not the columns of a Moses list: {shortened(line)}",
            "each line is: id ||| text ||| features ||| score (or give `input_format=plain`)",
        )
    given = read_score(columns[TOTAL], number, name) if len(columns) > TOTAL else None
    return Hypothesis(columns[0], columns[TEXT], given, number, columns=columns)


def parse_object(line: str, number: int, name: str) -> Hypothesis:
    """An object with ``text``, and ``id`` or ``list``.  Raises ``CorpusError``."""
    try:
        record = parse_json(line)
    except ValueError:
        record = None
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise CorpusError(
            f"{name} line {number} is no JSON object with a text: {shortened(line)}",
            'each line is like {"id": "utt1", "score": -3.2, "text": "hello"}',
        )
    check_unicode(record["text"], f"{name} line {number}")
    id = record.get("list", record.get("id"))
    if not isinstance(id, str | int) or isinstance(id, bool):
        raise CorpusError(
            f'{name} line {number} has neither "id" nor "list": {shortened(line)}',
            "say which list each hypothesis belongs to",
        )
    given = read_score(record["score"], number, name) if "score" in record else None
    return Hypothesis(str(id), record["text"], given, number, record)


PARSERS: dict[str, Callable[[str, int, str], Hypothesis]] = {
    "kaldi": parse_kaldi,
    "plain": parse_plain,
    "jsonl": parse_object,
    "moses": parse_moses,
}
"""A line, its number from 1 and the name of its file -> a hypothesis, by format."""


def read_score(received: Any, number: int, name: str) -> float:
    """A score.  Raises ``CorpusError`` if it is no finite number."""
    score = as_number(received)
    if not math.isfinite(score):
        raise CorpusError(
            f"{name} line {number}: the score {shortened(str(received))} is no number",
            "give each hypothesis a finite score, or give `input_format=plain` for none",
        )
    return score


def as_number(received: Any) -> float:
    """A number, NaN for what is none."""
    try:
        return math.nan if isinstance(received, bool) else float(received)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def shortened(text: str) -> str:
    """The beginning of what was received, for a message."""
    return repr(text if len(text) <= 40 else text[:39] + "…")
