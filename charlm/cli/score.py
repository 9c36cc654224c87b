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


@click.command("score", short_help="Say how surprising each word of a text is.")
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
    context: str | None,
    top: int,
    columns: tuple[str, ...],
    join: str,
    layout: str,
    encoding: str | None,
    mix: Mix,
    step: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Say how surprising each word, character, token, line or region of a text is; the
    surprisals of all rows sum to that of the text.
    """
    from charlm.console import surprisals as show
    from charlm.data.encoding import encode_documents
    from charlm.inference.complexity import complexities
    from charlm.inference.loading import load_run, open_for
    from charlm.inference.regions import score_table
    from charlm.inference.surprisal import surprisals

    check_use(len(sources), unit, context, top, bool(columns) or join != " ", layout)
    loaded = mix(load_run(run, step=step, device=device))
    scorer = loaded.model, loaded.tokenizer
    if unit == "region":
        encoding = encoding or loaded.run.config.data.encoding
        regions = score_table(*scorer, sources[0], columns, encoding, join=join, top=top)
        show.show_regions(regions, measure, as_json=as_json, top=top)
        return
    pieces = encode_documents(loaded.tokenizer, open_for(loaded, sources, encoding))
    if layout == "charlm":
        rows = surprisals(*scorer, pieces, unit, context=context or "carried", top=top)
        show.show_surprisals(rows, measure, as_json=as_json, top=top)
    else:
        show.show_complexities(complexities(*scorer, pieces), measure, as_json=as_json)


def check_use(
    sources: int, unit: str, context: str | None, top: int, of_table: bool, layout: str
) -> None:
    """Raise ``UsageError`` for options that do not go together."""
    if of_table and unit != "region":
        raise click.UsageError("--column and --join go with --by region only")
    if unit == "region" and sources != 1:
        raise click.UsageError("--by region reads one table")
    if unit == "region" and context:
        raise click.UsageError("--context does nothing with --by region: each item is by itself")
    if layout != "charlm" and (unit != "word" or context not in (None, "line") or top):
        raise click.UsageError(
            f"--format {layout} is by word, with the context of a line, no --top"
        )
