"""Paths that callers give."""

import os
from pathlib import Path

from charlm.errors import ConfigError

__all__ = ["path_of"]


def path_of(name: str, given: object) -> Path:
    """The path that the argument ``name`` gives.  Raises ``ConfigError`` for what is no path."""
    if isinstance(given, str | Path) and str(given) and can_name(str(given)):
        return Path(given)
    wrong = (
        "not be empty"
        if isinstance(given, str) and not given
        else f"be a str or a Path, got {given!r:.60}"
    )
    raise ConfigError(f"`{name}` must {wrong}", f"change `{name}`")


def can_name(text: str) -> bool:
    """Whether a file may be called ``text``: without NUL, and all characters can be encoded."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False
