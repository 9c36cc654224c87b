"""Corpora that every Python carries: its documentation topics and its standard library.

Both differ between versions of Python, so neither has a hash.
"""

import os
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from charlm.data.sources.pieces import blocks_of
from charlm.errors import CorpusError

__all__ = ["EMBEDDED", "Embedded"]

NOT_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idlelib", "idle_test"}
NOT_LIBRARY |= {"lib2to3", "turtledemo", "pydoc_data", "__pycache__"}
"""Folders that hold tests, applications, or text that is not program source."""


SHORTEST_REPEAT = 20
"""Characters from which a paragraph that comes again is left out."""


@dataclass(frozen=True)
class Embedded:
    """One embedded corpus: each topic or source file is a document."""

    name: str
    size: None = None
    notes: tuple[str, ...] = ()

    def texts(self) -> Iterator[str]:
        """The documents in a fixed order.  Raises ``CorpusError`` where this Python has none."""
        found = False
        for text in EMBEDDED[self.name]():
            found = True
            yield text
        if not found:
            raise CorpusError(
                f"this Python carries no text for the corpus {self.name}",
                "install Python with its library sources, or give a text of your own",
            )

    def contents(self) -> Iterator[list[bytes]]:
        """The UTF-8 of each document, in blocks."""
        return map(blocks_of, self.texts())


def python_docs() -> Iterator[str]:
    """The topics of ``help()``: English prose about Python, in the order of their names.

    A fifth of it are paragraphs that stand in several topics; each is kept where it comes first,
    because what a model has been trained on cannot be held out.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    seen: set[str] = set()
    for _, text in sorted(topics.items()):
        kept = []
        for part in text.split("\n\n"):
            words = " ".join(part.split())
            if words not in seen:
                kept.append(part)
            if len(words) >= SHORTEST_REPEAT:
                seen.add(words)
        if kept:
            yield "\n\n".join(kept)


def python_stdlib() -> Iterator[str]:
    """The source files of the standard library that are UTF-8, in the order of their paths."""
    paths: list[Path] = []
    for folder, folders, names in os.walk(sysconfig.get_path("stdlib")):
        folders[:] = set(folders) - NOT_LIBRARY
        paths += (Path(folder, name) for name in names if name.endswith(".py"))
    for path in sorted(paths):
        try:
            # Through bytes, because opening as text would translate line breaks.
            text = path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        yield text


EMBEDDED = {"python-docs": python_docs, "python-stdlib": python_stdlib}
"""What reads each embedded corpus, by its name in the catalogue."""
