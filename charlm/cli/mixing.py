"""The options that mix two runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

__all__ = ["mix_options"]

Command = TypeVar("Command", bound=Callable[..., Any])


def mix_options(command: Command) -> Command:
    """``--mix`` and ``--mix-weight``, for ``charlm.inference.mixing.mixed``."""
    weight = click.option(
        "--mix-weight",
        type=click.FloatRange(0, 1),
        metavar="X",
        help="RUN's share of the mixture.  [default: tuned on RUN's validation text]",
    )
    other = click.option(
        "--mix",
        type=click.Path(path_type=Path),
        metavar="RUN2",
        help="Mix the probabilities of RUN with those of RUN2.",
    )
    return other(weight(command))
