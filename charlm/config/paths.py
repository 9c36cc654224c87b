"""Paths that callers give."""

import errno
import os
from pathlib import Path

from charlm.errors import ConfigError

__all__ = ["path_of"]


def path_of(name: str, given: object) -> Path:
    """The path that the argument ``name`` gives.  Raises ``ConfigError`` for what is no path."""
    if isinstance(given, str | Path) and str(given) and can_name(str(given)):
        return short_enough(name, Path(given))
    wrong = (
        "not be empty"
        if isinstance(given, str) and not given
        else f"be a str or a Path, got {given!r:.60}"
    )
    raise ConfigError(f"`{name}` must {wrong}", f"change `{name}`")


def short_enough(name: str, path: Path) -> Path:
    """``path``, the argument ``name``.  Raises ``ConfigError`` if the system takes no such path."""
    try:
        path.lstat()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            cause = f"`{name}` is too long: {str(path)[:60]}..."
            raise ConfigError(cause, "choose a shorter name") from None
    return path


def can_name(text: str) -> bool:
    """Whether a file may be called ``text``: without NUL, and all characters can be encoded."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
