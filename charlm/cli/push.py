"""``charlm push``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option, run_argument


@click.command("push", cls=Command, short_help="Upload a run to the Hugging Face Hub.")
@run_argument
@click.argument("name", metavar="OWNER/NAME")
@click.option("--license", "licence", metavar="ID", help="Licence of the model, like apache-2.0.")
@click.option("--private", is_flag=True, help="Make a new repository that only you can see.")
@json_option("one JSON object")
def command(run: Path, name: str, licence: str | None, private: bool, as_json: bool) -> None:
    """Upload a run with its best checkpoint and a model card to the Hugging Face Hub.

    The access token is that of `hf auth login` or of HF_TOKEN.
    """
    from charlm.console.exchange import show_pushed
    from charlm.exchange.hub import push

    show_pushed(push(run, name, licence=licence, private=private), licence, as_json=as_json)
