"""The file in which the text of a writing session is kept."""

import os
from pathlib import Path

from charlm.durable import check_output, write_output
from charlm.errors import ConfigError, CorpusError

__all__ = ["Transcript", "open_transcript"]


class Transcript:
    """A file for a text that changes; it appears when a text is first saved."""

    def __init__(self, path: Path, saved: str = "", *, exists: bool = False) -> None:
        """``saved`` is the text that the file holds; ``exists`` says that it may be replaced."""
        self.path, self.saved, self.exists = path, saved, exists

    def save(self, text: str) -> bool:
        """Write ``text`` durably if it has changed; returns whether it had.

        A file that another program has made meanwhile is left alone: the text goes beside it.
        Raises ``CorpusError`` where nothing can be written.
        """
        if text == self.saved:
            return False
        if not self.exists and self.path.exists():
            self.path = free_name(self.path)
        write_output(self.path, text.encode("utf-8", "replace"), force=self.exists)
        self.saved, self.exists = text, True
        return True


def open_transcript(
    out: Path | None, name: str, *, force: bool = False, append: bool = False
) -> Transcript:
    """The transcript in ``out``; without one, in a new file of the current folder, called after
    ``name``.

    A file that exists is replaced with ``force``, and continued with ``append``: its text is
    ``saved``.  Raises ``CorpusError`` for a file that exists, or that cannot be read or written,
    and ``ConfigError`` where both or neither could be meant.
    """
    if force and append:
        raise ConfigError("`force` and `continue` contradict each other", "leave out `force`")
    if out is None:
        out = Path(f"{name}.txt")
        out = out if force or append else free_name(out)
    if append and out.exists():
        transcript = Transcript(out, read_text(out), exists=True)
    else:
        if out.is_file() and not force:
            way_out = "go on with it: `continue=True`, or replace it: `force=True`"
            raise CorpusError(f"{out} exists already", way_out)
        check_output(out, force=True)
        transcript = Transcript(out, exists=force)
    if not os.access(out if out.exists() else out.resolve().parent, os.W_OK):
        raise CorpusError(f"{out} cannot be written", "choose another `out`")
    return transcript


def free_name(path: Path) -> Path:
    """``path``, or with a number before its ending, so that there is no such file."""
    number, free = 1, path
    while free.exists() or free.is_symlink():
        number += 1
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return free


def read_text(path: Path) -> str:
    """The text of a file.  Raises ``CorpusError`` for what cannot be read or is not UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise CorpusError(
            f"{path} cannot be read: {error.strerror}", "choose another `out`"
        ) from None
    except UnicodeDecodeError:
        raise CorpusError(f"{path} is not UTF-8 text", "choose another `out`") from None
