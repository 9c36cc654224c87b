"""Lists of hypotheses, the best n about each utterance, as recognisers and translators write them.

See ``nbest_lines`` for the formats.  Neighbouring lines with one id are a list; in plain files an
empty line ends a list.  Where no two neighbouring lines have the same id, an ending -1, -2, ... (or
-0, -1, ...) numbers the hypotheses of a list instead.  One list is read at a time, so that memory
does not grow with the file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from charlm.data.formats.nbest_lines import FORMATS, PARSERS, Hypothesis, guess_format
from charlm.data.sources.lines import read_lines
from charlm.data.sources.pieces import TextFile, UndecodableText
from charlm.data.sources.spool import lasting_file
from charlm.errors import ConfigError, CorpusError

__all__ = ["FORMATS", "Hypothesis", "NbestFile", "NbestList", "numbered_lines", "open_nbest"]

JSON_NAMES = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")
LONGEST = 1 << 20
"""Characters of a line at most; longer lines are no sentences, and could fill the memory."""

NUMBERED = re.compile(r"(.+)-(0|[1-9][0-9]{0,8})", re.DOTALL)
FIRST_NUMBERS = (0, 1)
"""What the number of the first hypothesis of a list may be."""


@dataclass(frozen=True)
class NbestList:
    """The hypotheses about one utterance, in the order of the file, at least one."""

    id: str
    hypotheses: tuple[Hypothesis, ...]

    @property
    def line(self) -> int:
        """The number, from 1, of the line in which the list begins."""
        return self.hypotheses[0].line


@dataclass(frozen=True)
class NbestFile:
    """A file of lists that can be read again and again.

    ``numbered``: the ids of hypotheses end in the number of the hypothesis in its list.
    """

    file: TextFile
    format: str
    numbered: bool = False

    @property
    def name(self) -> str:
        """The name of the file in messages."""
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
        """Whether ``hypothesis`` belongs to the list ``held`` that was begun."""
        if not self.numbered:
            return hypothesis.id == held[-1].id
        (stem, number), (last_stem, last) = numbered(hypothesis.id), numbered(held[-1].id)
        return stem == last_stem and number > last and numbered(held[0].id)[1] in FIRST_NUMBERS

    def list_of(self, held: list[Hypothesis], number: int) -> NbestList:
        """The list of these hypotheses, the ``number``-th of the file."""
        stem, first = numbered(held[0].id)
        id = stem if self.numbered and first in FIRST_NUMBERS else held[0].id
        return NbestList(id or str(number), tuple(held))

    def hypotheses(self) -> Iterator[Hypothesis | None]:
        """All hypotheses, None for an empty line of plain lists.  Raises ``CorpusError``."""
        parse = PARSERS[self.format]
        for number, line in numbered_lines(self.file):
            if line.strip():
                yield parse(line, number, self.name)
            elif self.format == "plain":
                yield None


def open_nbest(source: str | Path, format: str | None = None) -> NbestFile:
    """Open lists; ``-`` is standard input.

    The format is told by the name of the file (``.jsonl``), else by all its lines.  Raises
    ``ConfigError`` for an unknown format, ``CorpusError`` for a file that cannot be read, is empty,
    or whose ids cannot be read.
    """
    if format not in (None, *FORMATS):
        raise ConfigError(
            f"`input_format` must be one of {', '.join(FORMATS)}, got {format!r}",
            "leave `input_format` out: it is told by the lines",
        )
    source = str(source)
    file = TextFile(*lasting_file(source))
    if not any(line.strip() for _, line in numbered_lines(file)):
        raise CorpusError(f"{file.name} holds no hypotheses", "give a file with some")
    if format is None and source.lower().endswith(JSON_NAMES):
        format = "jsonl"
    opened = NbestFile(file, format or guess_format(line for _, line in numbered_lines(file)))
    if opened.format == "plain":
        return opened
    ids = (hypothesis.id for hypothesis in opened.hypotheses() if hypothesis)
    return NbestFile(file, opened.format, numbered=all(a != b for a, b in pairwise(ids)))


def numbered(id: str) -> tuple[str, int]:
    """``utt-2`` -> ``utt`` and 2; another id -> itself and -1."""
    match = NUMBERED.fullmatch(id)
    return (match[1], int(match[2])) if match else (id, -1)


def numbered_lines(file: TextFile) -> Iterator[tuple[int, str]]:
    """Every line of a UTF-8 file with its number from 1, without its end.

    Raises ``CorpusError`` for a file that cannot be read, what is not UTF-8, and too long a line.
    """
    try:
        for number, line in enumerate(read_lines(file, "utf-8", LONGEST), 1):
            yield number, line.rstrip("\r\n")
    except UndecodableText as error:
        hint = "convert it, for example with: iconv -f latin1 -t utf-8"
        raise CorpusError(str(error), hint) from None
