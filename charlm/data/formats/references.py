"""Reference texts for lists of hypotheses, and checks that both go together."""

from dataclasses import dataclass
from pathlib import Path

from charlm.data.formats.nbest import NbestFile, NbestList, numbered_lines
from charlm.data.sources.files import shown
from charlm.data.sources.pieces import TextFile
from charlm.data.sources.spool import lasting_file
from charlm.errors import CorpusError

__all__ = ["References", "check_lists", "read_references"]

FIRST_IDS = {"plain": 1, "moses": 0}
"""The id of the first list, for formats whose references are told by their order."""


@dataclass(frozen=True)
class References:
    """What was said: the words that belong to the id of each list, and the line they stand in."""

    name: str
    words: dict[str, list[str]]
    lines: dict[str, int]


def read_references(path: str | Path, format: str) -> References:
    """Read ``id text`` lines; for plain and Moses lists one text a line, in the order of the lists.

    The lines belong to the ids 1, 2, ... of plain lists and 0, 1, ... of Moses lists.  Raises
    ``CorpusError`` for a file that cannot be read, is empty, or has an id twice.
    """
    file = TextFile(*lasting_file(str(path)))
    words: dict[str, list[str]] = {}
    lines: dict[str, int] = {}
    for number, line in numbered_lines(file):
        columns = line.split()
        if format in FIRST_IDS:
            columns = [str(number - 1 + FIRST_IDS[format]), *columns]
        if not columns:
            continue
        id, *text = columns
        if id in words:
            raise CorpusError(
                f"{path} line {number}: {id} has a reference in line {lines[id]} already",
                "give each id one reference",
            )
        words[id], lines[id] = text, number
    if not any(words.values()):
        raise CorpusError(f"{path} holds no references", "give lines of: id text")
    return References(str(path), words, lines)


def check_lists(file: NbestFile, references: References | None) -> int:
    """Read all lists once, so that nothing is printed before all is known to be well.

    Returns how many hypotheses there are.  Raises ``CorpusError`` naming file and line.
    """
    seen: dict[str, int] = {}
    scored: bool | None = None
    count = 0
    for each in file.lists():
        if each.id in seen:
            raise CorpusError(
                f"{file.name} line {each.line}: {each.id} comes again, its list began in line "
                f"{seen[each.id]}",
                "put all hypotheses of a list one after the other",
            )
        seen[each.id] = each.line
        scored = same_columns(file, each, scored)
        count += len(each.hypotheses)
    if references is not None:
        match(file, seen, references)
    return count


def same_columns(file: NbestFile, nbest: NbestList, scored: bool | None) -> bool | None:
    """Whether hypotheses have scores, as those before did.  Raises ``CorpusError``."""
    for hypothesis in nbest.hypotheses:
        has_one = hypothesis.given is not None
        if scored not in (None, has_one):
            raise CorpusError(
                f"{file.name} line {hypothesis.line} has {'a' if has_one else 'no'} score, unlike "
                "those before",
                "give all hypotheses a score, or none",
            )
        scored = has_one
    return scored


def match(file: NbestFile, seen: dict[str, int], references: References) -> None:
    """Raise ``CorpusError`` unless lists, with their lines, and references have the same ids."""
    missing = [f"{id} (line {line})" for id, line in seen.items() if id not in references.words]
    if missing:
        raise CorpusError(
            f"{references.name} has no reference for {shown(missing)} of {file.name}",
            "give a reference for each list",
        )
    extra = [f"{id} (line {line})" for id, line in references.lines.items() if id not in seen]
    if extra:
        raise CorpusError(
            f"{file.name} has no list for {shown(extra)} of {references.name}",
            "give a list for each reference; a hypothesis may be empty",
        )
