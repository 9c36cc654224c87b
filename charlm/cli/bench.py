"""``charlm bench``."""

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option


@click.command(
    "bench", cls=Command, short_help="Measure speed, and compare it with the machine's limits."
)
@json_option("one JSON object per line: the limits, then each figure")
def command(as_json: bool) -> None:
    """Measure how fast this machine generates, scores and trains: in tokens per second, as a
    multiple of the speed of usual PyTorch code, and as a share of the highest possible speed.

    Takes about half a minute on the CPU; other busy programs make it slower and less certain.
    """
    from charlm.console.speed import show_speeds
    from charlm.inference.speed import measure_speed

    show_speeds(measure_speed(), as_json=as_json)
