"""``charlm score``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from charlm.cli.frame import Command
from charlm.cli.mixing import Mix, mix_options
from charlm.cli.shared import (
    device_option,
    evaluation_options,
    json_option,
    reading_options,
    run_argument,
    step_option,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from charlm.data.sources.corpora import Corpus
    from charlm.data.tokenizers.kinds import Tokenizer
    from charlm.inference.adaptation.methods import Evaluation
    from charlm.inference.predictors.predictor import Predictor

__all__ = ["command"]


@click.command("score", cls=Command, short_help="Say how surprising each word of a text is.")
@run_argument
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path())
@click.option(
    "--by",
    "unit",
    type=click.Choice(["token", "char", "word", "line", "region"]),
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
    help="Measure surprisal and entropy in these.",
)
@click.option(
    "--context",
    type=click.Choice(["carried", "document", "line"]),
    help="Predict from all text before, or only that of the document or line.  [default: carried]",
)
@click.option(
    "--top", type=click.IntRange(0), default=0, metavar="N", help="Add the N best guesses."
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="NAME=HEADER",
    help="--by region: the columns of item (HEADER,HEADER for several), region, text, context.",
)
@click.option(
    "--join",
    default=" ",
    metavar="TEXT",
    help="--by region: what stands between regions.  [default: a space]",
)
@click.option(
    "--format",
    "layout",
    type=click.Choice(["charlm", "neural-complexity"]),
    default="charlm",
    show_default=True,
    help="Print these columns.",
)
@reading_options
@evaluation_options
@mix_options
@step_option
@device_option("auto")
@json_option("one JSON object per row, instead of TSV")
def command(
    run: Path,
    sources: tuple[str, ...],
    unit: str,
    measure: str,
    context: str | None,
    top: int,
    columns: tuple[str, ...],
    join: str,
    layout: str,
    reading: dict[str, str],
    evaluation: "Evaluation",
    mix: Mix,
    step: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Say how surprising each word, character, token, line or region of a text is; the
    surprisals of all rows sum to that of the text.
    """
    from charlm.console.adaptation import show_adapted
    from charlm.inference.loading import load_run, open_for

    if unit == "region" and "text_column" in reading:
        raise click.UsageError("--text-column does nothing with --by region: --column text=NAME")
    of_table = bool(columns) or join != " "
    check_use(len(sources), unit, context, top, of_table, layout, bool(evaluation.tune_on))
    loaded = load_run(run, step=step, device=device)
    texts = [] if unit == "region" else [open_for(loaded, sources, reading)]
    adapted = show_adapted(loaded, evaluation, texts).readings
    readings = [mix(each, texts, tell=not number) for number, each in enumerate(adapted)]
    scorers = [(each.model, each.tokenizer) for each in readings]
    if unit == "region":
        encoding = reading.get("encoding", loaded.run.config.data.encoding)
        show_table(scorers, sources[0], columns, encoding, join, measure, top, as_json)
    for text in texts:
        show_text(scorers, text, layout, unit, measure, context, top, as_json)


def show_table(
    scorers: "Sequence[tuple[Predictor, Tokenizer]]",
    source: str,
    columns: tuple[str, ...],
    encoding: str,
    join: str,
    measure: str,
    top: int,
    as_json: bool,
) -> None:
    """Print the rows of a table of regions."""
    from charlm.console.adaptation import with_static_sum
    from charlm.console.surprisals import show_regions
    from charlm.inference.surprisal.regions import score_table

    rows = with_static_sum(
        score_table(*scorer, source, columns, encoding, join=join, top=top) for scorer in scorers
    )
    show_regions(rows, measure, as_json=as_json, top=top)


def show_text(
    scorers: "Sequence[tuple[Predictor, Tokenizer]]",
    corpus: "Corpus",
    layout: str,
    unit: str,
    measure: str,
    context: str | None,
    top: int,
    as_json: bool,
) -> None:
    """Print the rows of running text."""
    from charlm.console import surprisals as show
    from charlm.console.adaptation import with_static_sum
    from charlm.data.preparation.encoding import encode_documents
    from charlm.inference.surprisal.neural_complexity import complexities
    from charlm.inference.surprisal.text import surprisals

    texts = [(*scorer, encode_documents(scorer[1], corpus)) for scorer in scorers]
    if layout == "charlm":
        carried = context or "carried"
        rows = with_static_sum(surprisals(*text, unit, context=carried, top=top) for text in texts)
        show.show_surprisals(rows, measure, as_json=as_json, top=top)
    else:
        words = with_static_sum(complexities(*text) for text in texts)
        show.show_complexities(words, measure, as_json=as_json)


def check_use(
    sources: int,
    unit: str,
    context: str | None,
    top: int,
    of_table: bool,
    layout: str,
    tuned: bool,
) -> None:
    """Raise ``UsageError`` for options that do not go together."""
    if of_table and unit != "region":
        raise click.UsageError("--column and --join go with --by region only")
    if unit == "region" and tuned:
        raise click.UsageError(
            "--tune-on reads text, not the table of --by region: give the values"
        )
    if unit == "region" and sources != 1:
        raise click.UsageError("--by region reads one table")
    if unit == "region" and context:
        raise click.UsageError("--context does nothing with --by region: each item is by itself")
    if layout != "charlm" and (unit != "word" or context not in (None, "line") or top):
        raise click.UsageError(
            f"--format {layout} is by word, with the context of a line, no --top"
        )
