"""``charlm pairs``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.mixing import Mix, mix_options
from charlm.cli.shared import (
    device_option,
    encoding_option,
    json_option,
    run_argument,
    step_option,
)

__all__ = ["command"]


@click.command("pairs", cls=Command, short_help="Say which of two sentences a model prefers.")
@run_argument
@click.argument("sources", nargs=-1, required=True, metavar="FILE...", type=click.Path())
@click.option("--each", is_flag=True, help="Print a row for each pair, instead of the accuracy.")
@encoding_option
@mix_options
@step_option
@device_option("auto")
@json_option("one JSON object per row")
def command(
    run: Path,
    sources: tuple[str, ...],
    each: bool,
    encoding: str | None,
    mix: Mix,
    step: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Say in how many minimal pairs a model finds the good sentence more probable.

    A line of FILE is a pair, good<TAB>bad, or an object with sentence_good and sentence_bad, as in
    BLiMP; then accuracies are per field and UID too.
    """
    from charlm.console.surprisals import show_pairs
    from charlm.data.formats.listing import Listing
    from charlm.data.formats.pairs import PairList
    from charlm.inference.loading import load_run
    from charlm.inference.surprisal.pairs import score_pairs

    loaded = mix(load_run(run, step=step, device=device))
    encoding = encoding or loaded.run.config.data.encoding
    pairs = PairList([Listing(source, encoding) for source in sources])
    scores = score_pairs(loaded.model, loaded.tokenizer, pairs)
    show_pairs(scores, each=each, as_json=as_json)
