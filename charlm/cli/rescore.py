"""``charlm rescore``."""

from pathlib import Path
from typing import Any

import click

from charlm.cli.frame import Command
from charlm.cli.mixing import Mix, mix_options
from charlm.cli.shared import device_option, json_option, run_argument, step_option

__all__ = ["command"]


@click.command("rescore", cls=Command, short_help="Choose among the hypotheses of a recogniser.")
@run_argument
@click.argument("nbest", metavar="NBEST", type=click.Path())
@click.option(
    "--format",
    type=click.Choice(["kaldi", "plain", "jsonl"]),
    help="How NBEST is written.  [default: by its name and first line]",
)
@click.option(
    "--given",
    type=click.Choice(["loglik", "cost"]),
    default="loglik",
    show_default=True,
    help="What the scores in NBEST are: higher is better, or lower.",
)
@click.option(
    "--lm-weight",
    default=1.0,
    show_default=True,
    metavar="X",
    help="How much ln p of the text counts beside the score.",
)
@click.option(
    "--word-bonus", default=0.0, show_default=True, metavar="X", help="Added for each word."
)
@click.option(
    "--end",
    type=click.Choice(["line", "boundary", "none"]),
    help="What is predicted at the end of a hypothesis.  [default: as the model was trained]",
)
@click.option(
    "--tune",
    type=click.Path(path_type=Path),
    metavar="REFS",
    help="Find the weights with the lowest word error rate against these lines of: id text.",
)
@click.option(
    "--refs",
    type=click.Path(path_type=Path),
    metavar="REFS",
    help="Say the word error rate against these, with the weights given.",
)
@click.option("--all", "everything", is_flag=True, help="Print every hypothesis, not the best.")
@click.option(
    "--out", default="-", show_default=True, metavar="FILE", help="Where to write; -: stdout."
)
@mix_options
@step_option
@device_option("auto")
@json_option("one JSON object per hypothesis, and a summary")
def command(
    run: Path,
    nbest: str,
    everything: bool,
    out: str,
    mix: Mix,
    step: int | None,
    device: str,
    as_json: bool,
    **how: Any,
) -> None:
    """Choose among the hypotheses that a speech recogniser or translator has listed.

    \b
    total = score + lm weight * ln p(text) + word bonus * words

    NBEST has lines of "id score text" (kaldi), texts with an empty line between lists (plain), or
    objects with "id", "score" and "text" (jsonl); -: standard input.  The best of each list is
    printed, in the format of NBEST.
    """
    from charlm.console.rescoring import Layout, show_rescored
    from charlm.inference.loading import load_run
    from charlm.inference.rescoring.files import open_reranking, rerank

    loaded = mix(load_run(run, step=step, device=device))
    job = open_reranking(loaded, nbest, **how)
    show_rescored(rerank(loaded, job), Layout(job, everything, as_json), out)
