"""``charlm perplexity``."""

from typing import TYPE_CHECKING, Any

import click

from charlm.cli.frame import Command
from charlm.cli.runs import ChosenRun, model_options
from charlm.cli.shared import data_options, evaluation_options, json_option, run_argument

if TYPE_CHECKING:
    from charlm.inference.adaptation.methods import Evaluation


@click.command("perplexity", cls=Command, short_help="Measure how well a model predicts text.")
@run_argument
@click.argument("sources", nargs=-1, metavar="SOURCE...", type=click.Path(readable=False))
@click.option(
    "--part", type=click.Choice(["train", "valid", "test"]),
    help="Score this part of the run's own text, instead of SOURCE.",
)  # fmt: skip
@click.option(
    "--reset", type=click.Choice(["never", "file", "document", "line"]), metavar="AT",
    help="Reset the state at each file, document or line.  [default: never]",
)  # fmt: skip
@click.option(
    "--convention", type=click.Choice(["charlm", "lm-eval", "kenlm", "nanogpt"]), default="charlm",
    metavar="TOOL", help="Compute the figures as lm-eval, kenlm or nanogpt do (above).",
)  # fmt: skip
@click.option(
    "--window", type=click.IntRange(1), metavar="N",
    help="--convention nanogpt: tokens in a window.  [default: 256]",
)  # fmt: skip
@click.option(
    "--curve", is_flag=True, help="Show how the nll falls with the number of tokens read before."
)
@click.option(
    "--baselines", is_flag=True, help="Show n-gram models and compressors on the same text."
)
@data_options
@evaluation_options
@model_options
@json_option("one JSON object")
def command(
    sources: tuple[str, ...],
    part: str | None,
    baselines: bool,
    data: dict[str, str],
    evaluation: "Evaluation",
    chosen: ChosenRun,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how well a model predicts text: perplexity, bits per character and per byte.

    Each SOURCE (a folder is one) is one stream, the state carried: every token is predicted from
    all before it.  Several SOURCEs make a table; no row depends on the others.

    \b
    --convention lm-eval   each document by itself; word_perplexity, bits_per_byte
                 kenlm     each line by itself, its end a token, line breaks none
                 nanogpt   windows of 256 tokens, nothing carried between them
    """
    from charlm.console.adaptation import show_adapted
    from charlm.console.scores import show_scores
    from charlm.inference.adaptation.tuning import adapt_run
    from charlm.inference.scoring.conventions import ScoringOptions
    from charlm.inference.scoring.perplexity import measure_perplexity
    from charlm.inference.texts import open_texts

    scoring = ScoringOptions(**options)
    loaded = chosen.load()
    texts = open_texts(loaded, sources, part, **data)
    contents = [text.content for text in texts]
    adapted = show_adapted(adapt_run(loaded, evaluation, contents))
    model, *static = [chosen.mix(each, contents, tell=False) for each in adapted.variants]
    records = measure_perplexity(
        model, texts, scoring, baselines=baselines, static=static[0] if static else None
    )
    show_scores(records, texts, as_json=as_json)
