"""``charlm info``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option, run_argument

__all__ = ["command"]


@click.command("info", cls=Command, short_help="Say what a run holds.")
@run_argument
@json_option("one JSON object")
def command(run: Path, as_json: bool) -> None:
    """Say what a run holds: text, model, training, checkpoints."""
    from charlm.console.runs import show_run
    from charlm.storage.run import open_run

    show_run(open_run(run), as_json=as_json)
