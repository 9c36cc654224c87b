"""What a source names: standard input, files, folders, globs, tables, known corpora."""

import errno
import glob
import os
import stat
from codecs import BOM_UTF8
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from charlm.config import DataConfig
from charlm.data.cache import cache_folder
from charlm.data.catalogue import index as catalogue
from charlm.data.catalogue.card import Card
from charlm.data.sources import huggingface, tables
from charlm.data.sources.embedded import Embedded
from charlm.data.sources.pieces import TextFile, printable, unreadable
from charlm.data.sources.spool import spool, spooled_input
from charlm.durable import TEMPORARY_MARK
from charlm.errors import CorpusError, counted

__all__ = ["Found", "find_origins", "shown"]

Found = TextFile | tables.TextTable | Embedded

HEAD = 1 << 13
"""Bytes at the beginning of a file that tell text from binary."""


def find_origins(
    source: str, data: DataConfig, encoding: str | None
) -> tuple[list[Found], list[str]]:
    """What one source stands for, and notes on what was left out of it.

    ``encoding`` is that of text files, None where bytes are read.  Raises ``CorpusError``.
    """
    if not source.strip():
        raise CorpusError(
            f"a source is called {source!r}: a name without anything in it",
            "name a file, a folder, a corpus, or - for standard input",
        )
    if source == "-":
        return [text_file(spooled_input(), "standard input", encoding)], []
    if source.startswith("hf:"):
        return [tables.open_hub(source, data)], []
    path = Path(source)
    mode = mode_of(path)
    if mode is not None:
        return from_path(path, mode, data, encoding)
    if found := catalogue.find(source):
        return [known_corpus(*found, source, data, encoding)], []
    if glob.has_magic(source):
        return from_glob(source, data, encoding), []
    raise missing(source)


def mode_of(path: Path) -> int | None:
    """What kind of file ``path`` leads to, as in ``os.stat``; None if there is none.

    Raises ``CorpusError`` where a folder that may not be entered hides it.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        # A text that was given by mistake is no name that any file could have.
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise unreadable(printable(str(path)), error) from None


def from_path(
    path: Path, mode: int, data: DataConfig, encoding: str | None
) -> tuple[list[Found], list[str]]:
    """A folder, a file, or a pipe with a name.  Raises ``CorpusError``."""
    name = printable(str(path))
    if stat.S_ISDIR(mode):
        if huggingface.is_saved_dataset(path):
            return [tables.open_table(path, data)], []
        return from_folder(path, data, encoding)
    if stat.S_ISFIFO(mode):
        with path.open("rb") as pipe:
            return [text_file(spool(pipe, name), name, encoding)], []
    if not stat.S_ISREG(mode):
        raise CorpusError(f"{name} is neither a file nor a folder", "give a text file")
    return [from_file(path, data, encoding)], []


def from_file(path: Path, data: DataConfig, encoding: str | None) -> Found:
    """A table, by its name, or else plain text.  Raises ``CorpusError`` if it cannot be opened."""
    name = printable(str(path))
    try:
        path.open("rb").close()
    except OSError as error:
        raise unreadable(name, error) from None
    if tables.kind_of(path):
        return tables.open_table(path, data)
    return text_file(path, name, encoding)


def text_file(path: Path, name: str, encoding: str | None) -> TextFile:
    """A file of plain text; read as UTF-8, it is read without its byte order mark."""
    file, head = TextFile(path, name), b""
    if encoding == "utf-8":
        with suppress(CorpusError):  # a file that cannot be read is refused when it is read
            head = next(file.blocks(), b"")
    return replace(file, mark=len(BOM_UTF8)) if head.startswith(BOM_UTF8) else file


def from_glob(source: str, data: DataConfig, encoding: str | None) -> list[Found]:
    """The files that a pattern names, sorted; ``**`` stands for any folders.

    Raises ``CorpusError`` where there are none.
    """
    paths = sorted(Path(name) for name in glob.glob(source, recursive=True))  # noqa: PTH207
    files = [path for path in paths if path.is_file()]
    if not files:
        found = "only folders" if paths else "no file"
        raise CorpusError(
            f"{printable(source)} matches {found}", "check the pattern, or name a folder itself"
        )
    return [from_file(path, data, encoding) for path in files]


def from_folder(
    folder: Path, data: DataConfig, encoding: str | None
) -> tuple[list[Found], list[str]]:
    """All text below ``folder``, in the order of the paths, and a note that names the rest.

    Hidden files, run folders and the cache are never read; binary files and tables without the
    text column are left out beside other text.  Raises ``CorpusError`` where there is no text or a
    folder may not be read.
    """
    files, left_out = files_below(folder)
    origins: list[Found] = []
    refused: CorpusError | None = None
    for path in files:
        try:
            if tables.kind_of(path) or is_text(path, encoding):
                origins.append(from_file(path, data, encoding))
                continue
        except CorpusError as error:
            if not isinstance(error, tables.NoTextColumn) and path.suffix != ".json":
                raise
            refused = refused or error
        left_out.append(path)
    if refused and not origins:
        raise refused
    if not origins:
        held = f"{counted(len(files), 'file')}, none of them text" if files else "no files"
        raise CorpusError(
            f"the folder {printable(str(folder))} holds {held}", "give a folder with text files"
        )
    names = [printable(str(path.relative_to(folder))) for path in sorted(left_out)]
    return origins, [f"{printable(str(folder))}: left out {shown(names)}"] if names else []


def files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files below ``folder``, sorted, and the run folders and caches that were passed over.

    Raises ``CorpusError`` where a folder may not be read.
    """

    def refuse(error: OSError) -> None:
        raise unreadable(printable(str(error.filename or folder)), error)

    files: list[Path] = []
    passed: list[Path] = []
    cache = cache_folder().resolve()
    for below, folders, names in os.walk(folder, onerror=refuse):
        here = Path(below)
        if here != folder and ("run.toml" in names or here.resolve() == cache):
            passed.append(here)
            folders.clear()
            continue
        folders[:] = [name for name in folders if not unread(name)]
        files += (here / name for name in names if not unread(name))
    return [path for path in sorted(files) if path.is_file()], passed


def unread(name: str) -> bool:
    """Whether a file or folder is hidden or the unfinished work of another command."""
    return name.startswith(".") or TEMPORARY_MARK in name


def is_text(path: Path, encoding: str | None) -> bool:
    """Whether ``path`` is not a binary file, to judge by null characters at its beginning.

    Raises ``CorpusError`` if it cannot be read.
    """
    head = next(TextFile(path, printable(str(path))).blocks(), b"")[:HEAD]
    if encoding is None:
        return b"\0" not in head
    return "\0" not in head.decode(encoding, errors="replace")


def known_corpus(
    card: Card, part: str | None, source: str, data: DataConfig, encoding: str | None
) -> Found:
    """A corpus of the catalogue.  Raises ``CorpusError`` where it has not been fetched."""
    if card.kind == "embedded":
        return Embedded(card.name)
    if card.hub:
        return tables.open_hub(card.hub.address(part), data)
    return text_file(card.path(part), source, encoding)


def missing(source: str) -> CorpusError:
    """The error for a source that nothing answers to; a text given by mistake is cut short."""
    near = None if os.sep in source else catalogue.nearest(source)
    hint = f"did you mean the corpus {near}?" if near else "check the path, or: charlm corpora list"
    if any(character.isspace() for character in source.strip()):
        hint = "check the path; a text that is no file is read from standard input, named -"
    return CorpusError(f"there is no file, folder or corpus called {printable(source)}", hint)


def shown(names: Sequence[str]) -> str:
    """Names for a message, the first few of many."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
