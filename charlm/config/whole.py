"""All settings of a run, and where they come from: tables, TOML files, assignments."""

import dataclasses
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, get_type_hints

from charlm.config.model import ModelConfig
from charlm.config.section import unknown_name
from charlm.config.text import DataConfig, TokenizerConfig
from charlm.config.training import TrainConfig
from charlm.errors import ConfigError

__all__ = ["Config", "merge", "parse_assignment", "parse_value", "read_toml"]


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run."""

    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainConfig = field(default_factory=TrainConfig)

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any]) -> Self:
        """Read the four sections.  Raises ``ConfigError`` naming the nearest section or key."""
        hints = get_type_hints(cls)
        sections = {}
        for name, table in tables.items():
            if name not in hints:
                raise unknown_name(f"section {name}", name, list(hints))
            if not isinstance(table, Mapping):
                raise ConfigError(f"{name} must be a section, got {table!r}", f"write [{name}]")
            sections[name] = hints[name].from_table(table)
        return cls(**sections)

    def to_tables(self) -> dict[str, dict[str, Any]]:
        """All sections as TOML tables."""
        return {
            entry.name: getattr(self, entry.name).to_table() for entry in dataclasses.fields(self)
        }


def merge(*tables: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Lay section tables over each other, later ones winning key by key."""
    merged: dict[str, dict[str, Any]] = {}
    for table in tables:
        for name, section in table.items():
            merged.setdefault(name, {}).update(section)
    return merged


def parse_assignment(text: str) -> dict[str, dict[str, Any]]:
    """Turn ``section.key=value`` into a table; the value is TOML, or else a plain string.

    Raises ``ConfigError`` where the form is wrong or the name unknown.
    """
    target, equals, value = text.partition("=")
    name, dot, key = target.strip().partition(".")
    if not equals or not dot or not key:
        raise ConfigError(
            f"--set takes section.key=value, got {text!r}", "try --set model.dropout=0.3"
        )
    hints = get_type_hints(Config)
    if name not in hints:
        raise unknown_name(f"section {name}", name, list(hints))
    known = [entry.name for entry in dataclasses.fields(hints[name])]
    if key not in known:
        raise unknown_name(f"setting {name}.{key}", key, known, prefix=f"{name}.")
    return {name: {key: parse_value(value)}}


def parse_value(text: str) -> Any:
    """``text`` as a TOML value or a number, or as it is: 3, true, 0.5, .5, [1, 2], lstm."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        with suppress(ValueError):
            return float(text)
        return text.strip()


def read_toml(path: Path) -> dict[str, Any]:
    """Read sections from a TOML file; of a ``run.toml``, those that hold settings.

    Raises ``ConfigError`` if the file is missing, no TOML, or has settings outside of sections.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "check the path") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}", "check the file") from None
    for name, table in tables.items():
        if not isinstance(table, Mapping):
            sections = ", ".join(f"[{section}]" for section in get_type_hints(Config))
            raise ConfigError(f"{path}: {name} is not in a section", f"put it under {sections}")
    return {name: table for name, table in tables.items() if name not in ("charlm", "origin")}
