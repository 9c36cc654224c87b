"""``charlm score``."""

from pathlib import Path

import click

from charlm.cli.mixing import Mix, mix_options
from charlm.cli.shared import (
    device_option,
    encoding_option,
    json_option,
    run_argument,
    step_option,
)

__all__ = ["command"]

UNITS = ("token", "char", "word", "line")


@click.command("score", short_help="Say how surprising each word of a text is.")
@run_argument
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path())
@click.option(
    "--by",
    "unit",
    type=click.Choice(UNITS),
    default="word",
    show_default=True,
    help="Print a row for each of these.",
)
@click.option(
    "--unit",
    "measure",
    type=click.Choice(["bits", "nats", "log10"]),
    default="bits",
    show_default=True,
    help="Measure surprisal in these.",
)
@encoding_option
@mix_options
@step_option
@device_option("auto")
@json_option("one JSON object per row, instead of TSV")
def command(
    run: Path,
    sources: tuple[str, ...],
    unit: str,
    measure: str,
    encoding: str | None,
    mix: Mix,
    step: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Say how surprising each word, character, token or line of a text is.

    The surprisals of all rows sum to that of the text.
    """
    from charlm.console.figures import show_surprisals
    from charlm.data.encoding import encode_documents
    from charlm.inference.loading import load_run, open_for
    from charlm.inference.surprisal import surprisals

    loaded = mix(load_run(run, step=step, device=device))
    pieces = encode_documents(loaded.tokenizer, open_for(loaded, sources, encoding))
    rows = surprisals(loaded.model, loaded.tokenizer, pieces, unit)
    show_surprisals(rows, measure, as_json=as_json)
