"""Options that are settings: name, type, help and default come from ``charlm.config``."""

import dataclasses
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import click

from charlm.config import Config, merge, parse_assignment, read_toml
from charlm.errors import ConfigError

__all__ = ["resolve_config", "setting_options"]

SETTINGS = {
    "--minutes": "training.minutes",
    "--epochs": "training.epochs",
    "--steps": "training.steps",
    "--split": "data.split",
    "--valid": "data.valid",
    "--test": "data.test",
    "--tokenizer": "tokenizer.kind",
    "--vocab-size": "tokenizer.vocab_size",
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

Tables = dict[str, dict[str, Any]]


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``SETTINGS``; they reach the command as ``flags``, given ones only."""

    def with_flags(**arguments: Any) -> Any:
        given: Tables = {}
        for flag, target in SETTINGS.items():
            value = arguments.pop(parameter_name(flag))
            if value not in (None, ()):
                section, key = target.split(".")
                given.setdefault(section, {})[key] = value
        return command(flags=given, **arguments)

    with_flags.__doc__ = command.__doc__
    with_flags.__name__ = command.__name__
    with_flags.__click_params__ = list(  # type: ignore[attr-defined]
        getattr(command, "__click_params__", [])
    )
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
    limits = entry.metadata
    help_text = limits["help"]
    if entry.default not in (None, ()):
        help_text += f"  [default: {entry.default}]"
    options: dict[str, Any] = {"help": help_text, "default": None}
    if kind == tuple[float, ...]:
        options.update(type=Shares(), metavar="SHARES")
    elif kind == tuple[str, ...]:
        options.update(type=str, multiple=True, metavar="SOURCE")
    elif limits["choices"]:
        options.update(type=click.Choice(limits["choices"]))
    else:
        options.update(type=kind)
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


def resolve_config(
    sources: Sequence[str],
    flags: Tables,
    assignments: Sequence[str] = (),
    config_file: Path | None = None,
    base: Config | None = None,
) -> Config:
    """All settings: defaults or ``base``, a corpus card's, the file's, --set, then flags.

    Raises ``ConfigError``, and ``CorpusError`` where a corpus name cannot be used.
    """
    from charlm.data.catalogue import expand

    given = merge(
        read_toml(config_file) if config_file else {}, *map(parse_assignment, assignments), flags
    )
    if sources:
        given.setdefault("data", {})["sources"] = list(sources)
    before = base.to_tables() if base else {}
    if base and {"minutes", "epochs", "steps"} & set(given.get("training", {})):
        for key in ("minutes", "epochs", "steps"):  # another budget replaces the old one
            before["training"].pop(key, None)
    config = Config.from_tables(merge(before, given))
    if not config.data.sources:
        raise ConfigError("there is nothing to train on", "charlm train FILE, or: charlm demo")
    if base:
        return config
    data, suggested = expand(config.data)
    return dataclasses.replace(Config.from_tables(merge(suggested, given)), data=data)
