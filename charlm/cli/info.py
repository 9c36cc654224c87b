"""``charlm info``."""

from pathlib import Path

import click

__all__ = ["command"]


@click.command("info")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(run: Path, as_json: bool) -> None:
    """Say what a run holds: text, model, training, checkpoints."""
    from charlm.console.runs import show_run
    from charlm.storage.run import open_run

    show_run(open_run(run), as_json=as_json)
