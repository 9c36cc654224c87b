"""``charlm bench``."""

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option

__all__ = ["command"]


@click.command(
    "bench", cls=Command, short_help="Measure speed, beside usual code and the machine's limits."
)
@json_option("one JSON object per line: the limits, then each figure")
def command(as_json: bool) -> None:
    """Measure how fast this machine samples, scores and learns: tokens per second, how many times
    the usual PyTorch code, and which share of what the processor could do at best.

    Takes about half a minute on the CPU; other busy programs make it slower and less certain.
    """
    from charlm.console.speed import show_speed

    show_speed(as_json=as_json)
