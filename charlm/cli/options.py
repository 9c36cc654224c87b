"""Options that are settings: name, type, help and default come from ``charlm.config``."""

import dataclasses
import functools
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import click

from charlm.config import (
    Config,
    ModelConfig,
    TrainConfig,
    merge,
    parse_assignment,
    parse_value,
    read_toml,
)
from charlm.errors import ConfigError

__all__ = ["named_values", "resolve", "setting_options"]

SETTINGS = {
    "--minutes": "training.minutes",
    "--epochs": "training.epochs",
    "--steps": "training.steps",
    "--split": "data.split",
    "--valid": "data.valid",
    "--test": "data.test",
    "--tokenizer": "tokenizer.kind",
    "--vocab-size": "tokenizer.vocab_size",
    "--model": "model.kind",
    "--order": "model.order",
    "--hidden-size": "model.hidden_size",
    "--num-layers": "model.num_layers",
    "--cell": "model.cell",
    "--dropout": "model.dropout",
    "--batch-size": "training.batch_size",
    "--bptt": "training.bptt",
    "--learning-rate": "training.learning_rate",
    "--seed": "training.seed",
    "--device": "training.device",
    "--encoding": "data.encoding",
    "--text-column": "data.text_column",
    "--dataset-split": "data.dataset_split",
}
"""The settings that have an option of their own; the others are reached with --set."""

BY_KIND = ("tokenizer.kind", ("char", "word", "bpe", "unigram"))
ONLY_WITH = {
    "data.encoding": BY_KIND,
    "tokenizer.vocab_size": BY_KIND,
    "tokenizer.min_count": ("tokenizer.kind", ("char", "word")),
    "tokenizer.end_of_line": ("tokenizer.kind", ("word",)),
    "training.beta1": ("training.optimizer", ("adamw",)),
    "training.beta2": ("training.optimizer", ("adamw",)),
    "training.momentum": ("training.optimizer", ("sgd",)),
    "training.cooldown": ("training.schedule", ("trapezoid",)),
    "training.plateau_factor": ("training.schedule", ("plateau",)),
    "model.order": ("model.kind", ("ngram",)),
}
"""Settings that only do something while another one has one of these values."""

COUNTING = ("model.kind", "model.order", "training.device", "training.seed")
OF_NETWORKS = {
    target: ("model.kind", ("recurrent",))
    for section in (ModelConfig, TrainConfig)
    for entry in dataclasses.fields(section)
    if (target := f"{section.name}.{entry.name}") not in COUNTING
}
"""What is left of the two sections does nothing for a model that only counts."""

RIVALS = {
    "training.minutes": ("training.epochs", "training.steps"),
    "training.epochs": ("training.minutes", "training.steps"),
    "training.steps": ("training.minutes", "training.epochs"),
    "data.split": ("data.valid", "data.test"),
    "data.valid": ("data.split",),
    "data.test": ("data.split",),
}
"""Settings that exclude others, which give way where they come from a file, recipe or run."""

Tables = dict[str, dict[str, Any]]


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``SETTINGS``; they reach the command as ``flags``, given ones only."""

    @functools.wraps(command)
    def with_flags(**arguments: Any) -> Any:
        given: Tables = {}
        for flag, target in SETTINGS.items():
            value = arguments.pop(parameter_name(flag))
            if value not in (None, ()):
                section, key = target.split(".")
                given.setdefault(section, {})[key] = value
        return command(flags=given, **arguments)

    for flag, target in reversed(SETTINGS.items()):
        setting_option(flag, target)(with_flags)
    return with_flags


def parameter_name(flag: str) -> str:
    """What click calls an option in Python."""
    return "flag_" + flag.removeprefix("--").replace("-", "_")


def setting_option(flag: str, target: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The option of one setting."""
    section_name, key = target.split(".")
    section = get_type_hints(Config)[section_name]
    entry = next(entry for entry in dataclasses.fields(section) if entry.name == key)
    kind = plain_type(get_type_hints(section)[key])
    choices = entry.metadata["choices"]
    help_text = entry.metadata["help"]
    if choices:
        help_text = f"{help_text.rstrip('.')}: {', '.join(choices)}."
    if entry.default not in (None, ()):
        help_text += f"  [default: {entry.default}]"
    options: dict[str, Any] = {"help": help_text, "default": None}
    if kind == tuple[float, ...]:
        options.update(type=Shares(), metavar="SHARES")
    elif kind == tuple[str, ...]:
        options.update(type=click.Path(), multiple=True, metavar="SOURCE")
    elif choices:
        options.update(type=click.Choice(choices), metavar=key.upper())
    else:
        metavars = {int: "N", float: "X"}
        options.update(type=kind, metavar=metavars.get(kind, key.upper().rpartition("_")[2]))
    return click.option(flag, parameter_name(flag), **options)


def plain_type(kind: Any) -> Any:
    """``int | None`` is int."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


class Shares(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between, like 90,5,5."""

    name = "shares"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        """Parse; wrong ones end in click's usage error."""
        try:
            return tuple(float(share) for share in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not like 90,10 or 90,5,5", param, ctx)


def resolve(
    sources: Sequence[str],
    flags: Tables,
    assignments: Sequence[str] = (),
    config_file: Path | None = None,
    base: Config | None = None,
    recipe: str | None = None,
) -> tuple[Config, frozenset[str]]:
    """All settings: defaults or ``base``, a corpus card's, the recipe's, the file's, --set, flags.

    Also the names (``section.key``) of those that were chosen, by whomever.
    Raises ``ConfigError``, and ``CorpusError`` where a corpus name cannot be used.
    """
    from charlm.data.catalogue.index import expand

    given = merge(*map(parse_assignment, assignments), flags)
    if config_file:
        given = over(read_toml(config_file), given)
    if recipe:
        given = with_recipe(recipe, given)
    if sources:
        given.setdefault("data", {})["sources"] = list(sources)
    config = Config.from_tables(over(base.to_tables(), given) if base else given)
    if not config.data.sources:
        raise ConfigError("there is nothing to train on", "charlm train FILE, or: charlm demo")
    refuse_idle(config, given)
    if base:
        return config, names_of(config.to_tables())
    data, suggested = expand(config.data)
    tables = over(suggested, given)
    config = dataclasses.replace(Config.from_tables(tables), data=data)
    return config, names_of(tables)


def with_recipe(name: str, given: Tables) -> Tables:
    """What was given, over a recipe's settings and its corpus."""
    from charlm.training.recipes import read_recipe

    recipe = read_recipe(name)
    corpus = {"data": {"sources": [recipe.corpus]}}
    return over(merge(corpus, recipe.settings), given)


def over(tables: Tables, given: Tables) -> dict[str, dict[str, Any]]:
    """What was given, over ``tables`` without what it excludes."""
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


def names_of(tables: Tables) -> frozenset[str]:
    """``section.key`` of everything in ``tables``."""
    return frozenset(f"{section}.{key}" for section, table in tables.items() for key in table)


def refuse_idle(config: Config, given: Tables) -> None:
    """Raise ``ConfigError`` for a setting that was given but does nothing beside the others."""
    for target, (ruler, useful) in (*OF_NETWORKS.items(), *ONLY_WITH.items()):
        section, key = target.split(".")
        value, ruling = setting_value(config, target), setting_value(config, ruler)
        changed = value != setting_value(Config(), target)
        if changed and key in given.get(section, {}) and ruling not in useful:
            raise ConfigError(
                f"{target} = {value} does nothing with {ruler} = {ruling}",
                f"leave it out, or choose another {ruler}: {', '.join(useful)}",
            )


def setting_value(config: Config, target: str) -> Any:
    """The value of ``section.key``."""
    section, key = target.split(".")
    return getattr(getattr(config, section), key)


def named_values(assignments: Sequence[str]) -> dict[str, Any]:
    """``name=value`` texts as a table.  Raises ``ConfigError`` for another form."""
    table = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set takes name=value, got {assignment!r}", "try --set order=3")
        table[name.strip()] = parse_value(value)
    return table
