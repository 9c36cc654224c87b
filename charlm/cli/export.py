"""``charlm export``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import force_option, json_option, out_option, run_argument, step_option

ENDINGS = {"html": ".html", "onnx": "-onnx", "arpa": ".arpa"}


@click.command("export", cls=Command, short_help="Write a run in the format of other programs.")
@run_argument
@click.option(
    "--to", type=click.Choice(list(ENDINGS)), required=True,
    help="html: a page that writes and measures in a browser, all in one file.  onnx: a folder "
    "with the graph, the tokenizer and an example.  arpa: a file, for n-grams.",
)  # fmt: skip
@out_option("What to write.  [default: the run's name with another ending, here]", "PATH")
@click.option(
    "--precision", type=click.Choice(["int16", "int8"]), metavar="KIND",
    help="html: weights in int16, or in int8 for half the size.  [default: int16]",
)  # fmt: skip
@force_option
@step_option
@json_option("one JSON object")
def command(
    run: Path,
    to: str,
    out: Path | None,
    precision: str | None,
    force: bool,
    step: int | None,
    as_json: bool,
) -> None:
    """Write a run as a page that writes, or in the format of other programs."""
    from charlm.console.exchange import show_exported
    from charlm.exchange.exporting import export_model
    from charlm.web.writer_page import export_page

    target = out or Path(f"{run.resolve().name}{ENDINGS[to]}")
    if precision and to != "html":
        raise click.UsageError(f"--precision does nothing with --to {to}")
    if to == "html":
        done = export_page(run, target, precision=precision or "int16", step=step, force=force)
    else:
        done = export_model(run, to, target, step=step, force=force)
    show_exported(done, as_json=as_json)
