"""Arguments and options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["device_option", "encoding_option", "json_option", "run_argument", "step_option"]

Command = TypeVar("Command", bound=Callable[..., Any])

run_argument = click.argument("run", metavar="RUN", type=click.Path(path_type=Path))

step_option = click.option(
    "--step", type=click.IntRange(0), metavar="N", help="Which checkpoint.  [default: the best]"
)

encoding_option = click.option(
    "--encoding", metavar="ENCODING", help="How SOURCE is encoded.  [default: as in training]"
)


def device_option(default: str) -> Callable[[Command], Command]:
    """``--device``."""
    return click.option(
        "--device",
        default=default,
        show_default=True,
        metavar="DEVICE",
        help="Where to compute: cpu, cuda, cuda:N, mps or auto.",
    )


def json_option(what: str) -> Callable[[Command], Command]:
    """``--json``, with what it prints."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what}.")
