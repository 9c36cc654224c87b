"""``charlm info``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import RunPath, json_option


@click.command("info", cls=Command, short_help="Show what runs contain.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RunPath())
@json_option("one JSON object a line for each run")
def command(runs: tuple[Path, ...], as_json: bool) -> None:
    """Show what a run contains: text, model, training, checkpoints.

    Several runs are shown side by side: the settings in which they differ, and how well each
    predicts its validation text.
    """
    from charlm.console.runs import show_runs
    from charlm.storage.run import open_run

    show_runs([open_run(run) for run in runs], as_json=as_json)
