"""Paths that callers give."""

from pathlib import Path

from charlm.errors import ConfigError

__all__ = ["path_of"]


def path_of(name: str, given: object) -> Path:
    """The path that the argument ``name`` gives.  Raises ``ConfigError`` for what is no path."""
    if isinstance(given, str | Path) and given != "" and "\0" not in str(given):
        return Path(given)
    wrong = "not be empty" if given == "" else f"be a str or a Path, got {given!r:.60}"
    raise ConfigError(f"`{name}` must {wrong}", f"change `{name}`")
