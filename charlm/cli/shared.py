"""Arguments and options that several commands have."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from charlm.cli.frame import option
from charlm.config.generation import LARGEST_SEED

__all__ = [
    "FILE",
    "RunPath",
    "data_options",
    "device_option",
    "encoding_option",
    "evaluation_options",
    "force_option",
    "format_option",
    "json_option",
    "out_option",
    "run_argument",
    "seed_option",
    "step_option",
]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class RunPath(click.Path):
    """The folder of a run; ``hf:OWNER/NAME`` is downloaded from the Hub into the cache."""

    def __init__(self) -> None:
        super().__init__(readable=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The folder.  Raises ``CharlmError`` for a run that the Hub does not give."""
        if str(value).startswith("hf:"):
            from charlm.exchange.hub import local_run

            return local_run(str(value))
        return super().convert(value, param, ctx)


FILE = click.Path(readable=False, path_type=Path)
"""The path of a file or a folder."""


def out_option(
    help: str, metavar: str = "RUN", **settings: Any
) -> Callable[[Decorated], Decorated]:
    """The option ``--out``, -o: what is written."""
    return option("--out", "-o", type=FILE, metavar=metavar, help=help, **settings)


def seed_option(help: str, heading: str) -> Callable[[Decorated], Decorated]:
    """The option ``--seed`` of texts."""
    seeds = click.IntRange(0, LARGEST_SEED)
    return option("--seed", type=seeds, metavar="N", heading=heading, help=help)


force_option = click.option("--force", is_flag=True, help="Replace an existing file.")

run_argument = click.argument("run", metavar="RUN", type=RunPath())

step_option = click.option(
    "--step", type=click.IntRange(0), metavar="N",
    help="Step of the checkpoint.  [default: the best]",
)  # fmt: skip

device_option = click.option(
    "--device", default="auto", metavar="DEVICE",
    help="Where to compute: cpu, cuda, cuda:N, mps or auto.",
)  # fmt: skip

encoding_option = option(
    "--encoding", metavar="ENCODING", heading="Files",
    help="Encoding of the files.  [default: as in training]",
)  # fmt: skip


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how a SOURCE is read; those given reach the command as ``data``.

    With ``--part``, whose text was read in training, they raise ``UsageError``.
    """

    @encoding_option
    @option(
        "--text-column", metavar="NAME", heading="Files",
        help="Column of a table that holds the text.  [default: as in training]",
    )  # fmt: skip
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
    """The option ``--json``; ``what`` says what it prints."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what}.")


def format_option(*others: str) -> Callable[[Decorated], Decorated]:
    """The option ``--format``; ``others`` are formats that only this command has."""
    return click.option(
        "--format",
        type=click.Choice(["table", "tsv", "csv", "jsonl", *others]),
        help="How rows are printed.  [default: table on a terminal, tsv elsewhere]",
    )


VALUED = {"is_flag": False, "flag_value": "", "heading": "Methods of evaluation time"}
"""Settings of an option that may be given with a value or without one."""

METHOD_OPTIONS = (
    option("--temperature", metavar="[X]", help="Divide the logits by X.", **VALUED),
    option(
        "--dynamic", metavar="[NAME=X,...]", **VALUED,
        help="Dynamic evaluation: train the model on the text it has read, while it reads.  "
        "Values: lr, decay, segment, epsilon.",
    ),
    option(
        "--cache", metavar="[NAME=X,...]", **VALUED,
        help="Continuous cache: raise the probability of what followed similar states.  "
        "Values: window, theta, share.",
    ),
    option(
        "--tune-on", multiple=True, metavar="valid|FILE", heading=VALUED["heading"],
        help="Choose the values that are left out by the nll of the run's validation part, or of "
        "this text.",
    ),
)  # fmt: skip


def evaluation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the methods of evaluation time, which reach the command as ``evaluation``."""

    @functools.wraps(command)
    def with_evaluation(tune_on: tuple[str, ...], **arguments: Any) -> Any:
        from charlm.inference.adaptation.methods import parse_evaluation

        given = {name: arguments.pop(name) for name in ("temperature", "dynamic", "cache")}
        return command(evaluation=parse_evaluation(given, tune_on), **arguments)

    for add in reversed(METHOD_OPTIONS):
        add(with_evaluation)
    return with_evaluation
