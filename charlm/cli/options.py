"""Options that are settings: name, type, help and default come from ``charlm.config``."""

import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any, Union, get_args, get_origin, get_type_hints

import click

from charlm.cli.frame import each_once, option
from charlm.config import Config, merge, named_values, tables_of
from charlm.config.section import default_text

__all__ = ["SETTINGS", "setting_options"]

SETTINGS = {
    "--minutes": "training.minutes",
    "--epochs": "training.epochs",
    "--steps": "training.steps",
    "--from": "training.base",
    "--keep-share": "training.keep_share",
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

HEADINGS = {"training": "Training", "data": "Text", "tokenizer": "Tokens", "model": "Model"}
"""Section of settings -> its heading in the help."""


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of ``SETTINGS``, and --set for all other settings; the given ones reach the
    command as section tables, ``settings``.  An option wins over --set.
    """

    @functools.wraps(command)
    def with_settings(assignments: tuple[str, ...], **arguments: Any) -> Any:
        given = [tables_of(named_values(assignments))]
        for flag, target in SETTINGS.items():
            value = arguments.pop(parameter_name(flag))
            if value not in (None, ()):
                section, key = target.split(".")
                given.append({section: {key: value}})
        return command(settings=merge(*given), **arguments)

    assignments = click.option(
        "--set", "assignments", multiple=True, metavar="SECTION.KEY=VALUE",
        callback=each_once, help="Any other setting.",
    )  # fmt: skip
    assignments(with_settings)

    for flag, target in reversed(SETTINGS.items()):
        setting_option(flag, target)(with_settings)
    return with_settings


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
        help_text = f"One of {', '.join(choices)}.  {help_text}"
    default = default_text(entry)
    if default and "[default" not in help_text:
        help_text += f"  [default: {default}]"
    options: dict[str, Any] = {"help": help_text, "default": None}
    if kind == tuple[float, ...]:
        options.update(type=Numbers(), metavar="SHARES")
    elif kind == tuple[str, ...]:
        options.update(type=click.Path(readable=False), multiple=True, metavar="SOURCE")
    elif choices:
        options.update(type=click.Choice(choices), metavar=key.upper())
    else:
        metavars = {int: "N", float: "X"}
        options.update(type=kind, metavar=metavars.get(kind, key.upper().rpartition("_")[2]))
    return option(flag, parameter_name(flag), **options, heading=HEADINGS[section_name])


def plain_type(kind: Any) -> Any:
    """``int | None`` is int."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


class Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers with commas between, like ``example``."""

    name = "numbers"

    def __init__(self, example: str = "90,5,5") -> None:
        self.example = example

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        """Parse; wrong ones end in click's usage error."""
        try:
            return tuple(float(share) for share in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of numbers like {self.example}", param, ctx)
