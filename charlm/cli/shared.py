"""Arguments and options that several commands share."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from charlm.cli.frame import heading

__all__ = [
    "data_options",
    "device_option",
    "encoding_option",
    "evaluation_options",
    "format_option",
    "json_option",
    "run_argument",
    "step_option",
]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

run_argument = click.argument("run", metavar="RUN", type=click.Path(path_type=Path))

step_option = click.option(
    "--step", type=click.IntRange(0), metavar="N", help="Which checkpoint.  [default: the best]"
)

device_option = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="DEVICE",
    help="Where to compute: cpu, cuda, cuda:N, mps or auto.",
)

encoding_option = click.option(
    "--encoding",
    metavar="ENCODING",
    help="How SOURCE is encoded.  [default: as in training]",
    **heading("Files"),
)


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the settings of reading a SOURCE; those given reach the command in a table, ``data``.

    None goes together with ``--part``, whose text was read in training.
    """

    @encoding_option
    @click.option(
        "--text-column",
        metavar="NAME",
        help="A table's column.  [default: as in training]",
        **heading("Files"),
    )
    @functools.wraps(command)
    def with_data(encoding: str | None, text_column: str | None, **arguments: Any) -> Any:
        given = {"encoding": encoding, "text_column": text_column}
        data = {name: value for name, value in given.items() if value is not None}
        if data and arguments.get("part"):
            option = next(iter(data)).replace("_", "-")
            raise click.UsageError(f"--{option} does nothing with --part")
        return command(data=data, **arguments)

    return with_data


def json_option(what: str) -> Callable[[Decorated], Decorated]:
    """``--json``, with what it prints."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what}.")


def format_option(*others: str) -> Callable[[Decorated], Decorated]:
    """``--format``, how rows are printed; ``others`` are formats that a command has beside."""
    return click.option(
        "--format",
        type=click.Choice(["table", "tsv", "csv", "jsonl", *others]),
        help="How rows are printed.  [default: table on a terminal, tsv elsewhere]",
    )


METHODS = heading("Methods of evaluation time")

METHOD_OPTIONS = (
    click.option(
        "--temperature",
        is_flag=False,
        flag_value="",
        metavar="[X]",
        help="Divide the logits by X.",
        **METHODS,
    ),
    click.option(
        "--dynamic",
        is_flag=False,
        flag_value="",
        metavar="[NAME=X,...]",
        help="Let the model learn from what it has read: lr, decay, segment, epsilon.",
        **METHODS,
    ),
    click.option(
        "--cache",
        is_flag=False,
        flag_value="",
        metavar="[NAME=X,...]",
        help="Expect again what followed similar states: window, theta, share.",
        **METHODS,
    ),
    click.option(
        "--tune-on",
        multiple=True,
        metavar="valid|FILE",
        help="Choose what these methods leave open on the run's valid part, or on this text.",
        **METHODS,
    ),
)


def evaluation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the methods of evaluation time; they reach the command as one ``evaluation``."""

    @functools.wraps(command)
    def with_evaluation(tune_on: tuple[str, ...], **arguments: Any) -> Any:
        from charlm.inference.adaptation.methods import parse_evaluation

        given = {name: arguments.pop(name) for name in ("temperature", "dynamic", "cache")}
        return command(evaluation=parse_evaluation(given, tune_on), **arguments)

    for option in reversed(METHOD_OPTIONS):
        option(with_evaluation)
    return with_evaluation
