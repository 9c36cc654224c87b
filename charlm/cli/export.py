"""``charlm export``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option, run_argument, step_option

__all__ = ["command"]

ENDINGS = {"onnx": "-onnx", "arpa": ".arpa"}


@click.command("export", cls=Command, short_help="Write a run in the format of other programs.")
@run_argument
@click.option(
    "--to", type=click.Choice(list(ENDINGS)), required=True,
    help="onnx: a folder with the graph, the tokenizer and an example.  arpa: a file, for n-grams.",
)  # fmt: skip
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), metavar="PATH",
    help="What to write.  [default: the run's name with another ending, here]",
)  # fmt: skip
@step_option
@json_option("one JSON object")
def command(run: Path, to: str, out: Path | None, step: int | None, as_json: bool) -> None:
    """Write a run in the format of other programs."""
    from charlm.console.exchange import show_exported
    from charlm.exchange.exporting import export_model

    target = out or Path(f"{run.resolve().name}{ENDINGS[to]}")
    show_exported(export_model(run, to, target, step), as_json=as_json)
