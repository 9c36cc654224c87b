"""All settings of a run, and the names of the settings."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self, get_type_hints

from charlm.config.generation import GenerationConfig
from charlm.config.model import ModelConfig
from charlm.config.rules import Tables, refuse_idle, without_idle
from charlm.config.section import Section, unknown_name
from charlm.config.text import DataConfig, TokenizerConfig
from charlm.config.training import TrainConfig
from charlm.errors import ConfigError

__all__ = ["Config", "keys", "refuse_unknown", "unknown_setting"]

MEANT = {
    "lr": "training.learning_rate",
    "wd": "training.weight_decay",
    "batch": "training.batch_size",
    "bsz": "training.batch_size",
    "seq_len": "training.bptt",
    "block_size": "training.bptt",
    "layers": "model.num_layers",
    "nlayers": "model.num_layers",
    "n_layer": "model.num_layers",
    "nhid": "model.hidden_size",
    "hidden": "model.hidden_size",
    "emsize": "model.embedding_size",
}
"""What other tools call a setting; known only to suggest the right name."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a run.  Settings that nobody has chosen or decided yet are None."""

    data: DataConfig = field(default_factory=DataConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainConfig = field(default_factory=TrainConfig)
    generation: GenerationConfig = field(default_factory=GenerationConfig)

    def __post_init__(self) -> None:
        refuse_idle(self.sections())
        if self.training.freeze > self.model.num_layers:
            raise ConfigError(
                f"`training.freeze={self.training.freeze}` is more than "
                f"`model.num_layers={self.model.num_layers}`",
                "freeze fewer layers",
            )

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any], *, drop_idle: bool = False) -> Self:
        """Read the sections.  Raises ``ConfigError`` naming the nearest section or key.

        A setting that does nothing beside the others is refused, or left out by ``drop_idle``.
        """
        for name, table in tables.items():
            refuse_unknown(name)
            if not isinstance(table, Mapping):
                raise ConfigError(f"{name} must be a section, got {table!r}", f"write [{name}]")
            for key in table:
                refuse_unknown(name, key)
        hints = get_type_hints(cls)
        sections = {name: hint(**tables.get(name, {})) for name, hint in hints.items()}
        if drop_idle:
            tables = without_idle(tables, sections)
            sections = {name: hint(**tables.get(name, {})) for name, hint in hints.items()}
        return cls(**sections)

    def to_tables(self) -> Tables:
        """All sections as TOML tables; settings that are None are left out."""
        return {name: section.to_table() for name, section in self.sections().items()}

    def useful_tables(self) -> Tables:
        """``to_tables``, without the settings of networks for a model that counts n-grams."""
        tables = self.to_tables()
        return without_idle(tables, self.sections()) if self.model.kind == "ngram" else tables

    def sections(self) -> dict[str, Section]:
        """The five sections of these settings, by name."""
        return {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}

    def changes(self) -> dict[str, tuple[Any, Any]]:
        """Settings, as ``section.key``, that differ from their default -> their value and that
        default, which is None where there is none.
        """
        return {
            f"{name}.{key}": (value, getattr(type(section)().with_defaults(), key))
            for name, section in self.sections().items()
            for key, value in section.changed().items()
        }

    def with_defaults(self) -> Self:
        """These settings with the fixed default of everything that is still undecided.

        Raises ``ConfigError`` where a default does not go with what was chosen.
        """
        sections = {name: section.with_defaults() for name, section in self.sections().items()}
        return dataclasses.replace(self, **sections)  # type: ignore[arg-type]


@cache
def keys() -> dict[str, list[str]]:
    """The names of all settings, by section."""
    return {
        name: [entry.name for entry in dataclasses.fields(section)]
        for name, section in get_type_hints(Config).items()
    }


def refuse_unknown(section: str, key: str | None = None) -> None:
    """Raise ``ConfigError`` with the nearest name unless there is such a section, or setting."""
    if section not in keys():
        raise unknown_name(f"section {section}", section, list(keys()))
    if key is not None and key not in keys()[section]:
        raise unknown_setting(f"{section}.{key}")


def unknown_setting(name: str) -> ConfigError:
    """The error for a setting that does not exist; the nearest one is its way out."""
    near, section = nearest_setting(name), name.partition(".")[0]
    known = ", ".join(keys().get(section, keys()))
    return ConfigError(
        f"unknown setting `{name}`", f"did you mean {near}?" if near else f"known: {known}"
    )


def nearest_setting(name: str) -> str | None:
    """The ``section.key`` most like ``name``, a key with or without its section; None if none is.

    A key of that very section wins over one of another section that is as near.
    """
    section, dot, key = name.rpartition(".")
    if key in MEANT:
        return MEANT[key]
    own = keys().get(section, []) if dot else []
    others = [each for names in keys().values() for each in names]
    for known, cutoff in ((others, 0.99), (own, 0.6), (others, 0.6)):
        for near in difflib.get_close_matches(key, known, n=1, cutoff=cutoff):
            home = (
                section if near in own else next(s for s, names in keys().items() if near in names)
            )
            return f"{home}.{near}"
    return None
