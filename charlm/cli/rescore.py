"""``charlm rescore``."""

from typing import Any

import click

from charlm.cli.frame import Command
from charlm.cli.runs import ChosenRun, model_options
from charlm.cli.shared import FILE, json_option, run_argument


@click.command("rescore", cls=Command, short_help="Choose among the hypotheses of a recogniser.")
@run_argument
@click.argument("nbest", metavar="NBEST", type=click.Path(readable=False))
@click.option(
    "--input-format", type=click.Choice(["kaldi", "plain", "jsonl", "moses"]),
    help="How NBEST is written.  [default: by its name and lines]",
)  # fmt: skip
@click.option(
    "--given", type=click.Choice(["loglik", "cost"]), default="loglik",
    help="What the scores in NBEST are: higher is better, or lower.",
)  # fmt: skip
@click.option("--lm-weight", default=1.0, metavar="X", help="Weight of ln p(text) in the total.")
@click.option("--word-bonus", default=0.0, metavar="X", help="Added to the total for each word.")
@click.option(
    "--end", type=click.Choice(["line", "boundary", "none"]),
    help="What is predicted at the end of a hypothesis.  [default: as the model was trained]",
)  # fmt: skip
@click.option(
    "--tune", type=FILE, metavar="REFS",
    help="Find the weights with the lowest word error rate; REFS has a reference a line: id text.",
)  # fmt: skip
@click.option(
    "--refs", type=FILE, metavar="REFS",
    help="Report the word error rate against these references, with the weights given.",
)  # fmt: skip
@click.option(
    "--all", "everything", is_flag=True, help="Print every hypothesis, not only the best."
)
@click.option("--out", default="-", metavar="FILE", help="Where to write; -: standard output.")
@model_options
@json_option("one JSON object per hypothesis, and a summary")
def command(
    nbest: str,
    everything: bool,
    out: str,
    chosen: ChosenRun,
    as_json: bool,
    **how: Any,
) -> None:
    """Choose among the hypotheses that a speech recogniser or translator has listed.

    \b
    total = score + lm weight * ln p(text) + word bonus * words

    NBEST has lines of "id score text" (kaldi) or "id ||| text ||| features ||| score" (moses),
    texts with an empty line between lists (plain), or objects with "id", "score" and "text"
    (jsonl); -: standard input.  The best of each list is printed, in the format of NBEST.
    """
    from charlm.console.rescoring import show_rescored
    from charlm.inference.rescoring.job import open_rescoring, rescore

    loaded = chosen.mix(chosen.load())
    job = open_rescoring(loaded, nbest, **how)
    show_rescored(rescore(loaded, job), job, out, everything=everything, as_json=as_json)
