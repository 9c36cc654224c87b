"""Texts that are to be measured: given as they are, as files, or as a part of a run's own text."""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from charlm.data.cache import cache_folder
from charlm.data.preparation.line_ends import store_has_windows_lines, windows_lines
from charlm.data.preparation.prepared import find_prepared
from charlm.data.preparation.store import TokenStore
from charlm.data.preparation.streams import Reset, StreamPart, content_of
from charlm.data.sources.corpora import BlankText, Corpus
from charlm.data.sources.pieces import blocks_of
from charlm.data.sources.tables import TextTable, check_unicode
from charlm.errors import CharlmWarning, ConfigError
from charlm.inference.loading import Loaded, load_part, open_for

__all__ = [
    "GivenText",
    "TextSource",
    "gather_short",
    "has_tables",
    "natural_reset",
    "open_corpus_for",
    "open_texts",
    "refuse_run",
    "row_cells",
    "take_corpus",
    "take_texts",
    "tell",
]

Given = TypeVar("Given")


@dataclass(frozen=True)
class GivenText:
    """The origin of a corpus that is a str in memory: a single document."""

    text: str
    name: str = "the text"

    @property
    def size(self) -> int:
        """Bytes of the text in UTF-8."""
        return len(self.text.encode("utf-8", "surrogatepass"))

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing to tell about it."""
        return ()

    def contents(self) -> Iterator[list[bytes]]:
        """The UTF-8 of the only document, in blocks."""
        return iter([blocks_of(self.text)])


@dataclass(frozen=True)
class TextSource:
    """One row of a table of scores: a text that was given, or a part of the run's own text.

    ``names`` are those of the files it holds, ``size`` its bytes where they are known.
    """

    name: str
    names: tuple[str, ...]
    size: int | None
    content: Corpus | TokenStore


def take_texts(
    loaded: Loaded,
    text: str | Path | Sequence[str | Path] | None = None,
    part: str | None = None,
    **data: Any,
) -> list[TextSource]:
    """Texts as Python users give them: a str is a text, a Path names a file, folder or corpus.

    Each item of a sequence is a text of its own.  ``part`` (train, valid or test) is the run's own
    text, instead of ``text``; ``data`` are settings of reading: encoding and text_column.  Raises
    ``ConfigError`` for both or neither of ``text`` and ``part``, and ``CorpusError``.
    """
    if (text is None) == (part is None):
        raise ConfigError("give either a text or a `part` of the run's own text", "`part='test'`")
    if text is None:
        return open_texts(loaded, (), part, **data)
    corpora = not_blank(lambda each: take_corpus(loaded, each, **data), items(text))
    return [source_of(", ".join(corpus.names), corpus) for _, corpus in corpora]


def open_texts(
    loaded: Loaded, sources: Sequence[str], part: str | None = None, **data: Any
) -> list[TextSource]:
    """Texts by name: files, folders, globs, corpora, ``-`` for standard input; or a ``part``.

    Raises ``ConfigError`` for both or neither, for a run in place of a text and for ``data``
    settings with a part, and ``CorpusError``.
    """
    if bool(sources) == bool(part):
        raise ConfigError(
            "give either a text to measure or a `part` of the run's own text", "`part='test'`"
        )
    if part is None:
        corpora = not_blank(lambda name: open_corpus_for(loaded, (name,), **data), sources)
        return [source_of(name, corpus) for name, corpus in corpora]
    if data:
        raise ConfigError(
            f"the {part} part of a run is read as in training",
            f"leave out: {', '.join(f'`{name}`' for name in data)}",
        )
    store = load_part(loaded, part)
    name = f"the {part} part"
    return [TextSource(name, (name,), store.counts.bytes, store)]


def not_blank(
    opening: Callable[[Given], Corpus], given: Iterable[Given]
) -> list[tuple[Given, Corpus]]:
    """Open each text that is ``given``.  Warns of those that are empty or only white space, and
    leaves them out; raises ``BlankText`` where all are.
    """
    opened, blank = [], list[BlankText]()
    for each in given:
        try:
            opened.append((each, opening(each)))
        except BlankText as error:
            blank.append(error)
    if not opened:
        raise BlankText(", ".join(map(str, blank)), blank[0].hint)
    for found in blank:
        tell(f"left out: {found}")
    return opened


def source_of(name: str, corpus: Corpus) -> TextSource:
    """A corpus as one row of a table."""
    return TextSource(name, corpus.names, corpus.size, corpus)


def take_corpus(loaded: Loaded, text: str | Path | Sequence[str | Path], **data: Any) -> Corpus:
    """One corpus of texts as Python users give them: a str is a text, a Path names a file.

    Raises what ``open_corpus_for`` does, and ``ConfigError`` for anything but str and Path.
    """
    given = items(text)
    opened = [
        open_corpus_for(loaded, (str(each),), **data)
        if isinstance(each, Path)
        else Corpus((GivenText(each),), None if loaded.tokenizer.kind == "byte" else "utf-8")
        for each in given
    ]
    origins = tuple(chain.from_iterable(corpus.origins for corpus in opened))
    remarks = tuple(chain.from_iterable(corpus.remarks for corpus in opened))
    return Corpus(origins, opened[0].encoding, remarks)


def open_corpus_for(loaded: Loaded, sources: Sequence[str], **data: Any) -> Corpus:
    """One corpus of all that the names stand for, read as the run's text was read in training.

    ``data`` are other settings of reading: encoding and text_column.  Warns of a text_column
    without a table, and of line ends unlike those in training.  Raises ``ConfigError`` for a run in
    place of a text, ``BlankText`` for no text, and what ``open_for`` does.
    """
    corpus = open_for(loaded, tuple(map(refuse_run, sources)), data)
    if "text_column" in data and not has_tables(corpus):
        names = ", ".join(sources)
        tell(f"`text_column` does nothing: {names} is plain text, no table")
    if about_ends := line_end_note(loaded, corpus):
        tell(about_ends)
    return corpus


def tell(text: str) -> None:
    """Warn the caller of something that is no error."""
    warnings.warn(text, CharlmWarning, stacklevel=3)


def refuse_run(source: str) -> str:
    """The name of a text.  Raises ``ConfigError`` if it is the folder of a run."""
    if os.path.isfile(Path(source, "run.toml")):  # noqa: PTH113  (False for endless names)
        raise ConfigError(
            f"{source} is a run, not a text, and one run is measured at a time",
            "name a text; `compare` measures two runs on one text",
        )
    return source


def items(text: str | Path | Sequence[str | Path]) -> list[str | Path]:
    """One text or several as a list.  Raises ``ConfigError`` for anything but str and Path,
    and ``CorpusError`` for half a surrogate pair.
    """
    given = [text] if isinstance(text, str | Path) or not isinstance(text, Iterable) else list(text)
    for each in given:
        if not isinstance(each, str | Path):
            raise ConfigError(
                f"a text must be a str, or the Path of a file, got {type(each).__name__}",
                "give a str, a Path, or a list of them",
            )
        if isinstance(each, str):
            check_unicode(each, "the text")
    if not given:
        raise ConfigError("no text was given", "give a str, a Path, or a list of them")
    return given


def natural_reset(corpus: Corpus) -> Reset:
    """Where the state starts anew if nothing else is asked for.

    ``document`` where the documents are items that have nothing to do with one another: rows of
    tables, or several texts in memory; else ``never``.
    """
    given = sum(isinstance(origin, GivenText) for origin in corpus.origins)
    return "document" if given > 1 or has_tables(corpus) else "never"


def gather_short(
    parts: Iterable[StreamPart], reset: Reset, longest: int, together: int, least: int = 0
) -> Iterator[StreamPart | list[StreamPart]]:
    """Whole independent streams of less than ``longest`` tokens in lists of about ``together``
    tokens, to be read side by side; all other parts alone, in order.

    A stream of less than ``least`` tokens counts as so many: it takes memory of its own.
    """
    group: list[StreamPart] = []
    tokens = 0
    for part in parts:
        whole = reset in ("document", "line") and part.begins and part.ends
        short = whole and len(part.ids) < longest
        if short:
            group.append(part)
            tokens += max(len(part.ids), least)
        if group and (not short or tokens >= together):
            yield group
            group, tokens = [], 0
        if not short:
            yield part
    if group:
        yield group


def has_tables(corpus: Corpus) -> bool:
    """Whether rows of a table are among the documents."""
    return any(isinstance(origin, TextTable) for origin in corpus.origins)


def row_cells(corpus: Corpus) -> Iterator[Mapping[str, str]]:
    """For each document, the other cells of its row as text, "" for null; none where it is no row
    of a table.
    """
    for origin in corpus.origins:
        if not isinstance(origin, TextTable):
            yield {}
            continue
        for _, row in origin.rows():
            cells = {origin.column: row} if isinstance(row, str) else row
            if cells.get(origin.column):  # a row without a text is no document
                yield {
                    str(name): "" if cell is None else str(cell)
                    for name, cell in cells.items()
                    if name not in (origin.column, None)
                }


def line_end_note(loaded: Loaded, corpus: Corpus) -> str | None:
    """What to tell where lines end with CR LF and in training with LF, or the other way round;
    None also where it cannot be told how they ended in training.
    """
    tokenizer, trained = loaded.tokenizer, False
    if tokenizer.kind == "word":  # to which all white space is alike
        return None
    unknown = bool(tokenizer.unknown("\r"))
    if not unknown:
        kept = find_prepared(cache_folder(), loaded.run.origin.get("digest", ""))
        if kept is None:
            return None
        trained = store_has_windows_lines(kept.train, tokenizer)
    head = content_of(next(piece.text for piece in corpus.pieces() if not piece.text.isspace()))
    if b"\n" not in head or windows_lines(head) == trained:
        return None
    here, there = (
        ("CR LF (as on Windows)", "LF") if not trained else ("LF", "CR LF (as on Windows)")
    )
    worse = "is an unknown character" if unknown else "comes unexpectedly"
    effect = f"every carriage return {worse}" if not trained else "every carriage return is missing"
    return f"lines end with {here}, in training they ended with {there}: {effect}"
