"""Paths that callers give."""

from pathlib import Path

from charlm.errors import ConfigError

__all__ = ["path_of"]


def path_of(name: str, given: object) -> Path:
    """The path that the argument ``name`` gives.  Raises ``ConfigError`` for what is no path."""
    if not isinstance(given, str | Path) or "\0" in str(given):
        cause = f"`{name}` must be a str or a Path, got {given!r:.60}"
        raise ConfigError(cause, f"change `{name}`")
    return Path(given)
