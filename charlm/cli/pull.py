"""``charlm pull``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option, out_option


@click.command("pull", cls=Command, short_help="Download a run from the Hugging Face Hub.")
@click.argument("name", metavar="OWNER/NAME")
@out_option("The run folder.  [default: runs/NAME]")
@click.option("--revision", metavar="NAME", help="A branch, tag or commit.  [default: main]")
@json_option("one JSON object")
def command(name: str, out: Path | None, revision: str | None, as_json: bool) -> None:
    """Download a run from the Hugging Face Hub and verify it.

    Nothing in it is executed.  Where a run is expected, hf:OWNER/NAME does that too, into the
    cache.
    """
    from charlm.console.exchange import show_pulled
    from charlm.exchange.hub import pull

    name = name.removeprefix("hf:")
    target = out or Path("runs") / name.split("/")[-1]
    show_pulled(pull(name, target, revision), as_json=as_json)
