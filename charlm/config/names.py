"""Settings by their names: ``section.key``, or a key alone; keyword arguments and texts."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from charlm.config.rules import Tables
from charlm.config.whole import keys, refuse_unknown, unknown_setting
from charlm.errors import ConfigError
from charlm.untrusted import LARGEST_TOML, parse_toml

__all__ = ["named_values", "parse_value", "read_toml", "tables_of"]

ELSEWHERE = ("charlm", "origin")
"""Tables of a ``run.toml`` that hold no settings."""


def tables_of(settings: Mapping[str, Any]) -> Tables:
    """Keyword arguments as section tables.

    A name is a key that one section has (``hidden_size``), ``section.key``, or a section: with a
    table of its settings, or with the value of its ``kind`` (``tokenizer="bpe"``).  None leaves a
    setting as it is.  Raises ``ConfigError`` for a name that is unknown or ambiguous.
    """
    tables: Tables = {}
    for name, value in settings.items():
        if value is None:
            continue
        if name in keys() and isinstance(value, Mapping):
            tables.setdefault(name, {}).update(value)
            continue
        section, key = target_of(name)
        tables.setdefault(section, {})[key] = value
    return tables


def target_of(name: str) -> tuple[str, str]:
    """The section and the key that ``name`` means.  Raises ``ConfigError``."""
    section, dot, key = name.partition(".")
    if dot:
        refuse_unknown(section, key)
        return section, key
    if name in keys() and "kind" in keys()[name]:
        return name, "kind"
    found = [each for each, names in keys().items() if name in names]
    if len(found) == 1:
        return found[0], name
    if found:
        targets = " or ".join(f"`{each}.{name}`" for each in found)
        raise ConfigError(f"`{name}` could be {targets}", "name the section too")
    raise unknown_setting(name)


def parse_value(text: str) -> Any:
    """``text`` as a TOML value or a number, or as it is: 3, true, 0.5, .5, [1, 2], lstm."""
    try:
        (value,) = parse_toml(f"value = {text}").values()  # a line break could begin another key
        return value
    except ValueError:
        with suppress(ValueError):
            return float(text)
        return text.strip()


def named_values(assignments: Sequence[str]) -> dict[str, Any]:
    """``name=value`` texts as a table.  Raises ``ConfigError`` for another form."""
    table = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise ConfigError(
                f"a value is given as name=value, got {assignment!r}", "write for example order=3"
            )
        table[name.strip()] = parse_value(value)
    return table


def read_toml(path: Path) -> dict[str, Any]:
    """Read sections from a TOML file; of a ``run.toml``, those that hold settings.

    Raises ``ConfigError`` if the file is missing, no TOML, or has settings outside of sections.
    """
    try:
        with path.open("rb") as file:  # a pipe is fine, a device without end is read so far
            tables = parse_toml(file.read(LARGEST_TOML + 1))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "check the path") from None
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}", "check the file") from None
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            sections = ", ".join(f"[{section}]" for section in keys())
            raise ConfigError(f"{path}: {name} is not in a section", f"put it under {sections}")
    return {name: table for name, table in tables.items() if name not in ELSEWHERE}
