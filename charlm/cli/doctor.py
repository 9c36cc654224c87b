"""``charlm doctor``."""

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option

__all__ = ["command"]


@click.command("doctor", cls=Command, short_help="Say what this machine offers.")
@json_option("one JSON object")
def command(as_json: bool) -> None:
    """Say what this machine offers, how fast it is, and which implementation is in use."""
    from charlm.console.machine import show_machine

    show_machine(as_json=as_json)
