"""``charlm pairs``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.runs import ChosenRun, model_options
from charlm.cli.shared import encoding_option, format_option, json_option, run_argument


@click.command("pairs", cls=Command, short_help="Measure which of two sentences a model prefers.")
@run_argument
@click.argument(
    "sources", nargs=-1, required=True, metavar="FILE...", type=click.Path(readable=False)
)
@click.option("--each", is_flag=True, help="Print a row for each pair, instead of the accuracy.")
@format_option()
@encoding_option
@model_options
@json_option("one JSON object per row: --format jsonl")
def command(
    sources: tuple[str, ...],
    each: bool,
    format: str | None,
    encoding: str | None,
    chosen: ChosenRun,
    as_json: bool,
) -> None:
    """Measure in how many minimal pairs a model finds the good sentence more probable.

    A line of FILE is a pair, good<TAB>bad, or an object with sentence_good and sentence_bad, as in
    BLiMP; then accuracies are given per field and UID too.  The first line may name the
    columns; in a file whose name ends in .csv, commas separate them.
    """
    from charlm.console.surprisals import show_pairs
    from charlm.inference.surprisal.pairs import measure_pairs, take_pairs

    loaded = chosen.mix(chosen.load())
    files = [Path(source) for source in sources]
    pairs = take_pairs(files, encoding or loaded.run.config.data.encoding)
    show_pairs(measure_pairs(loaded, pairs), each=each, format="jsonl" if as_json else format)
