"""``charlm score``."""

from typing import TYPE_CHECKING, Any

import click

from charlm.cli.frame import Command
from charlm.cli.runs import ChosenRun, model_options
from charlm.cli.shared import (
    data_options,
    evaluation_options,
    format_option,
    json_option,
    run_argument,
)

if TYPE_CHECKING:
    from charlm.inference.adaptation.methods import Evaluation


@click.command("score", cls=Command, short_help="Measure how surprising each word of a text is.")
@run_argument
@click.argument(
    "sources", nargs=-1, required=True, metavar="SOURCE...", type=click.Path(readable=False)
)
@click.option(
    "--by", type=click.Choice(["token", "char", "word", "line", "region"]), default="word",
    help="Print a row for each of these.",
)  # fmt: skip
@click.option(
    "--unit", "measure", type=click.Choice(["bits", "nats", "log10"]), default="bits",
    help="Unit of surprisal and entropy.",
)  # fmt: skip
@click.option(
    "--reset", type=click.Choice(["never", "file", "document", "line"]), metavar="AT",
    help="Reset the state at each file, document or line; a row of a table is a document.  "
    "[default: never; document for tables]",
)  # fmt: skip
@click.option(
    "--top", type=click.IntRange(0), default=0, metavar="N",
    help="Add the N most probable tokens at the row's beginning.",
)  # fmt: skip
@click.option(
    "--more", is_flag=True,
    help="Add columns for mixed-effects models: length, position, surprisal of the row before, and "
    "surprisal by the frequency in the training text.",
)  # fmt: skip
@click.option(
    "--column", "columns", multiple=True, metavar="NAME=HEADER",
    help="--by region: the header of the column item (several: item=A,B), region, text or context.",
)  # fmt: skip
@click.option(
    "--join", default=" ", metavar="TEXT", show_default=False,
    help="--by region: text to put between two regions.  [default: a space]",
)  # fmt: skip
@format_option("neural-complexity")
@data_options
@evaluation_options
@model_options
@json_option("one JSON object per row: --format jsonl")
def command(
    sources: tuple[str, ...],
    evaluation: "Evaluation",
    chosen: ChosenRun,
    data: dict[str, str],
    measure: str,
    format: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how surprising each word, character, token, line or region of a text is; the
    surprisals of all rows sum to that of the text.
    """
    from charlm.console.adaptation import show_adapted
    from charlm.console.surprisals import show_scored
    from charlm.inference.adaptation.tuning import adapt_run
    from charlm.inference.surprisal.columns import Columns
    from charlm.inference.surprisal.rows import measure_rows
    from charlm.inference.texts import open_corpus_for

    check_use(len(sources), bool(evaluation.tune_on), "text_column" in data, format, **options)
    loaded = chosen.load()
    texts = [open_corpus_for(loaded, sources, **data)] if options["by"] != "region" else []
    adapted = show_adapted(adapt_run(loaded, evaluation, texts)).variants
    models = [chosen.mix(each, texts, tell=not number) for number, each in enumerate(adapted)]
    how = options | {"encoding": data.get("encoding"), "sentences": format == "neural-complexity"}
    rows = measure_rows(models, *texts or sources, **how)
    columns = Columns(
        measure=measure, top=min(options["top"], loaded.tokenizer.vocab_size), more=options["more"],
        regions=options["by"] == "region", sentences=options["reset"] == "line",
    )  # fmt: skip
    show_scored(rows, columns, format=format, as_json=as_json)


def check_use(
    sources: int,
    tuned: bool,
    text_column: bool,
    format: str | None,
    *,
    by: str,
    reset: str | None,
    top: int,
    columns: tuple[str, ...],
    join: str,
    **_: Any,
) -> None:
    """Raise ``UsageError`` for options that do not go together."""
    region = by == "region"
    wrong = {
        "--column and --join go with --by region only": (columns or join != " ") and not region,
        "--text-column does nothing with --by region: --column text=NAME": region and text_column,
        "--tune-on reads text, not the table of --by region: give the values": region and tuned,
        "--by region reads one table": region and sources != 1,
        "--reset does nothing with --by region: each item is by itself": region and reset,
        "--format neural-complexity is by word, with --reset line, no --top": (
            format == "neural-complexity" and (by != "word" or reset not in (None, "line") or top)
        ),
    }
    for message, found in wrong.items():
        if found:
            raise click.UsageError(message)
