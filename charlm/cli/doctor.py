"""``charlm doctor``."""

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option


@click.command(
    "doctor", cls=Command, short_help="Show versions, device and the implementation in use."
)
@json_option("one JSON object")
def command(as_json: bool) -> None:
    """Show the versions of charlm and its libraries, the device and precision that training
    takes by default, which implementation of the LSTM is in use, and where the cache is.
    """
    from charlm.console.tables import print_record
    from charlm.inference.machine import describe_machine

    about = describe_machine()
    print_record(about, {name: str(value) for name, value in about.items()}, as_json=as_json)
