"""Which settings go together: companions that a setting needs, rivals that it excludes."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from charlm.config.model import ModelConfig
from charlm.config.section import Section, assignment
from charlm.config.training import TrainConfig
from charlm.errors import ConfigError

__all__ = ["IdleSettingError", "Tables", "lay_over", "merge", "refuse_idle", "without_idle"]

Tables = dict[str, dict[str, Any]]

Companion = tuple[str, tuple[str, ...]]
"""A setting, and its values beside which another one does something."""

NO_BYTES: Companion = ("tokenizer.kind", ("char", "word", "bpe", "unigram"))
NETWORK: Companion = ("model.kind", ("recurrent",))

COUNTED = (
    "model.kind", "model.order", "training.base", "training.device", "training.seed"
)  # fmt: skip
"""The settings of model and training that also matter for a model that counts n-grams."""

COMPANIONS: tuple[tuple[str, Companion], ...] = (
    *(
        (target, NETWORK)
        for section in (ModelConfig, TrainConfig)
        for entry in dataclasses.fields(section)
        if (target := f"{section.name}.{entry.name}") not in COUNTED
    ),
    ("data.encoding", NO_BYTES),
    ("tokenizer.vocab_size", NO_BYTES),
    ("tokenizer.min_count", ("tokenizer.kind", ("char", "word"))),
    ("tokenizer.end_of_line", ("tokenizer.kind", ("word",))),
    ("training.beta1", ("training.optimizer", ("adamw",))),
    ("training.beta2", ("training.optimizer", ("adamw",))),
    ("training.momentum", ("training.optimizer", ("sgd",))),
    ("training.cooldown", ("training.schedule", ("trapezoid",))),
    ("training.plateau_factor", ("training.schedule", ("plateau",))),
    ("model.order", ("model.kind", ("ngram",))),
)
"""Settings that only do something while another one has one of these values."""

RIVALS = {
    "training.minutes": ("training.epochs", "training.steps"),
    "training.epochs": ("training.minutes", "training.steps"),
    "training.steps": ("training.minutes", "training.epochs"),
    "data.split": ("data.valid", "data.test"),
    "data.valid": ("data.split",),
    "data.test": ("data.split",),
}
"""Settings that exclude others, which give way where they come from a file, a recipe or a run."""


class IdleSettingError(ConfigError):
    """A setting that does nothing beside the value of another one, its ``companion``."""

    companion = ""


def merge(*tables: Mapping[str, Mapping[str, Any]]) -> Tables:
    """Lay section tables over each other, later ones winning key by key."""
    merged: Tables = {}
    for table in tables:
        for name, section in table.items():
            merged.setdefault(name, {}).update(section)
    return merged


def lay_over(tables: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> Tables:
    """``given`` over ``tables``, of which the settings that ``given`` excludes are left out."""
    excluded = {
        rival
        for section, table in given.items()
        for key, value in table.items()
        if value not in (None, (), [])
        for rival in RIVALS.get(f"{section}.{key}", ())
    }
    kept = {
        section: {key: value for key, value in table.items() if f"{section}.{key}" not in excluded}
        for section, table in tables.items()
    }
    return merge(kept, given)


def refuse_idle(sections: Mapping[str, Section]) -> None:
    """Raise ``IdleSettingError`` for a setting that was changed but does nothing beside others."""
    given = {
        f"{name}.{key}": value
        for name, section in sections.items()
        for key, value in section.changed().items()
    }
    for target, companion, value, useful in idle(sections):
        if target in given:
            error = IdleSettingError(
                f"`{assignment(target, given[target])}` does nothing with "
                f"`{assignment(companion, value)}`",
                f"leave it out, or choose another `{companion}`: {', '.join(useful)}",
            )
            error.companion = companion
            raise error


def without_idle(
    tables: Mapping[str, Mapping[str, Any]], sections: Mapping[str, Section]
) -> Tables:
    """``tables`` without the settings that do nothing in ``sections``, which were made of them."""
    dropped = {target for target, *_ in idle(sections)}
    return {
        name: {key: value for key, value in table.items() if f"{name}.{key}" not in dropped}
        for name, table in tables.items()
    }


def idle(sections: Mapping[str, Section]) -> Iterator[tuple[str, str, Any, tuple[str, ...]]]:
    """Settings without effect, each with its companion, its value, and the values it needs."""
    for target, (companion, useful) in COMPANIONS:
        section, key = companion.split(".")
        value = getattr(sections[section], key)
        if value not in useful:
            yield target, companion, value, useful
