"""Lists of hypotheses, best n of each, as recognisers and translators write them.

kaldi   ``id score text``, one hypothesis a line; lines of one id are a list.  Where no two
        neighbouring lines have the same id, an ending -1, -2, ... numbers the hypotheses instead.
plain   one hypothesis a line, without a score; an empty line between two lists
jsonl   one object a line: ``text``, and ``id`` or ``list``, which names the list; ``score``

A list is read at a time, so memory does not grow with the file.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from charlm.data.sources.pieces import TextFile
from charlm.data.sources.spool import spooled_input
from charlm.errors import CorpusError

__all__ = ["FORMATS", "Hypothesis", "NbestFile", "NbestList", "numbered_lines", "open_nbest"]

FORMATS = ("kaldi", "plain", "jsonl")
JSON_NAMES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
LONGEST = 1 << 20
"""Bytes of a line at most; nobody has said more in one breath."""

NUMBERED = re.compile(r"(.+)-([1-9][0-9]*)", re.DOTALL)


@dataclass(frozen=True)
class Hypothesis:
    """One line: ``given`` is its score as it stands there, None without one.

    ``record`` is the whole object of a line of JSON.
    """

    id: str
    text: str
    given: float | None
    line: int
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class NbestList:
    """The hypotheses about one utterance, in the order of the file, at least one."""

    id: str
    hypotheses: tuple[Hypothesis, ...]

    @property
    def line(self) -> int:
        """Where it begins."""
        return self.hypotheses[0].line


@dataclass(frozen=True)
class NbestFile:
    """A file of lists that can be read again and again.

    ``numbered``: the ids of hypotheses end in -1, -2, ...
    """

    file: TextFile
    format: str
    numbered: bool = False

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.file.name

    def lists(self) -> Iterator[NbestList]:
        """All lists in order.  Raises ``CorpusError`` naming the first bad line."""
        held: list[Hypothesis] = []
        lists = 0
        for hypothesis in self.hypotheses():
            if held and (hypothesis is None or not self.continues(held, hypothesis)):
                lists += 1
                yield self.list_of(held, lists)
                held = []
            if hypothesis is not None:
                held.append(hypothesis)
        if held:
            yield self.list_of(held, lists + 1)

    def continues(self, held: list[Hypothesis], hypothesis: Hypothesis) -> bool:
        """Whether ``hypothesis`` belongs to the list that was begun."""
        if not self.numbered:
            return hypothesis.id == held[-1].id
        (stem, number), (last_stem, last) = numbered(hypothesis.id), numbered(held[-1].id)
        return stem == last_stem and number > last and numbered(held[0].id)[1] == 1

    def list_of(self, held: list[Hypothesis], number: int) -> NbestList:
        """The list of these hypotheses, the ``number``-th of the file."""
        stem, first = numbered(held[0].id)
        id = stem if self.numbered and first == 1 else held[0].id
        return NbestList(id or str(number), tuple(held))

    def hypotheses(self) -> Iterator[Hypothesis | None]:
        """All hypotheses, None for an empty line of plain lists.  Raises ``CorpusError``."""
        parse = {"kaldi": self.parse_kaldi, "plain": self.parse_plain, "jsonl": self.parse_json}
        for number, line in numbered_lines(self.file):
            if line.strip():
                yield parse[self.format](number, line)
            elif self.format == "plain":
                yield None

    def parse_plain(self, number: int, line: str) -> Hypothesis:
        """A line that is nothing but text."""
        return Hypothesis("", line.strip(), None, number)

    def parse_kaldi(self, number: int, line: str) -> Hypothesis:
        """``id score text``; the text may be empty."""
        columns = line.split(None, 2)
        if len(columns) < 2:
            raise CorpusError(
                f"{self.name} line {number} has no score: {shortened(line)}",
                "each line is: id score text (or give --format plain)",
            )
        text = columns[2].strip() if len(columns) > 2 else ""
        return Hypothesis(columns[0], text, self.number(columns[1], number), number)

    def parse_json(self, number: int, line: str) -> Hypothesis:
        """An object with ``text``, and ``id`` or ``list``."""
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            raise CorpusError(
                f"{self.name} line {number} is no JSON object with a text: {shortened(line)}",
                'each line is like {"id": "utt1", "score": -3.2, "text": "hello"}',
            )
        id = record.get("list", record.get("id"))
        if not isinstance(id, str | int):
            raise CorpusError(
                f'{self.name} line {number} has neither "id" nor "list": {shortened(line)}',
                "say which list each hypothesis belongs to",
            )
        given = self.number(record["score"], number) if "score" in record else None
        return Hypothesis(str(id), record["text"], given, number, record)

    def number(self, received: Any, number: int) -> float:
        """A score.  Raises ``CorpusError`` if it is no finite number."""
        try:
            score = math.nan if isinstance(received, bool) else float(received)
        except (TypeError, ValueError, OverflowError):
            score = math.nan
        if not math.isfinite(score):
            raise CorpusError(
                f"{self.name} line {number}: the score {shortened(str(received))} is no number",
                "give each hypothesis a finite score, or use --format plain for none",
            )
        return score


def open_nbest(source: str, format: str | None = None) -> NbestFile:
    """Open lists; ``-`` is standard input.  The format is told by the name, else the first line.

    Raises ``CorpusError`` for a file that cannot be read, is empty, or whose ids cannot be read.
    """
    path = spooled_input() if source == "-" else Path(source)
    file = TextFile(path, "standard input" if source == "-" else source)
    first = next((line for _, line in numbered_lines(file) if line.strip()), None)
    if first is None:
        raise CorpusError(f"{file.name} holds no hypotheses", "give a file with some")
    opened = NbestFile(file, format or guess_format(file.name, first))
    if opened.format == "plain":
        return opened
    ids = (hypothesis.id for hypothesis in opened.hypotheses() if hypothesis)
    return NbestFile(file, opened.format, numbered=all(a != b for a, b in pairwise(ids)))


def guess_format(name: str, first: str) -> str:
    """The format of a file of that name and first line."""
    if name.lower().endswith(JSON_NAMES) or first.lstrip().startswith("{"):
        return "jsonl"
    columns = first.split(None, 2)
    try:
        float(columns[1])
    except (IndexError, ValueError):
        return "plain"
    return "kaldi"


def numbered(id: str) -> tuple[str, int]:
    """``utt-2`` -> ``utt`` and 2; another id -> itself and 0."""
    match = NUMBERED.fullmatch(id)
    return (match[1], int(match[2])) if match else (id, 0)


def numbered_lines(file: TextFile) -> Iterator[tuple[int, str]]:
    """Every line of a UTF-8 file with its number from 1, without its end.

    Raises ``CorpusError`` for a file that cannot be read, what is not UTF-8, and too long a line.
    """
    number, rest = 0, b""
    for block in file.blocks():
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            number += 1
            yield number, decoded(file, number, line)
        if len(rest) > LONGEST:
            raise CorpusError(
                f"{file.name} line {number + 1} is longer than {LONGEST:,} bytes",
                "give one hypothesis or reference a line",
            )
    if rest:
        yield number + 1, decoded(file, number + 1, rest)


def decoded(file: TextFile, number: int, line: bytes) -> str:
    """A line as text.  Raises ``CorpusError``."""
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{file.name} line {number} is not UTF-8: byte 0x{line[error.start]:02x} at "
            f"{error.start}",
            "convert it, for example with: iconv -f latin1 -t utf-8",
        ) from None


def shortened(text: str) -> str:
    """The beginning of what was received, for a message."""
    return repr(text if len(text) <= 40 else text[:39] + "…")
