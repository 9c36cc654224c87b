"""``charlm novelty``."""

from typing import Any

import click

from charlm.cli.frame import Command, option
from charlm.cli.options import Numbers
from charlm.cli.runs import ChosenRun, model_options
from charlm.cli.shared import data_options, json_option, run_argument, seed_option

SAMPLES = "Samples, without SOURCE"
"""The heading of the options that concern samples."""


@click.command("novelty", cls=Command, short_help="Measure how much is copied from the training.")
@run_argument
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=click.Path(readable=False))
@option(
    "--temperatures", type=Numbers("0.5,0.8,1.1"), metavar="X,X,...", heading=SAMPLES,
    help="Temperatures of the samples.  [default: 0.5,0.8,1]",
)  # fmt: skip
@option(
    "--samples", type=click.IntRange(1), metavar="N", heading=SAMPLES,
    help="How many samples at each temperature.  [default: 5]",
)  # fmt: skip
@option(
    "--length", "-n", type=click.IntRange(4), metavar="N", heading=SAMPLES,
    help="Characters of a sample.  [default: 500]",
)  # fmt: skip
@seed_option("Seed of the first sample.  [default: 1]", SAMPLES)
@data_options
@model_options
@json_option("one JSON object, with the figures of n-grams of every length")
def command(
    sources: tuple[str, ...],
    data: dict[str, str],
    chosen: ChosenRun,
    as_json: bool,
    **samples: Any,
) -> None:
    """Measure how much of what a model writes stands in its training text: the longest verbatim
    span and where it stands, and the share of n-grams (4 to 50 characters) that are new, beside
    the figures of human text that was held out from training.

    Compares samples at several temperatures, or each SOURCE; -: standard input.  Near copies are
    found without case and with single spaces.
    """
    from charlm.console.novelty import show_novelty
    from charlm.inference.novelty.report import measure_novelty, sampling
    from charlm.inference.texts import open_texts

    loaded = chosen.mix(chosen.load())
    texts = open_texts(loaded, sources, **data) if sources else []
    records = measure_novelty(loaded, texts, sampling(texts=bool(texts), **samples))
    show_novelty(records, as_json=as_json)
