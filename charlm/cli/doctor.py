"""``charlm doctor``."""

import click

__all__ = ["command"]


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(as_json: bool) -> None:
    """Say what this machine offers, how fast it is, and which implementation is in use."""
    from charlm.console.machine import show_machine

    show_machine(as_json=as_json)
