"""``charlm compare``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import RunPath, data_options, device_option, json_option


@click.command(
    "compare", cls=Command, short_help="Measure which of two models predicts a text better."
)
@click.argument("run_a", metavar="RUN_A", type=RunPath())
@click.argument("run_b", metavar="RUN_B", type=RunPath())
@click.argument("sources", nargs=-1, metavar="SOURCE...", type=click.Path(readable=False))
@click.option(
    "--part", type=click.Choice(["valid", "test"]),
    help="Compare on this part of the text that both runs were made from, instead of SOURCE.",
)  # fmt: skip
@click.option(
    "--most", default=10, type=click.IntRange(0), metavar="N",
    help="Show the N tokens or lines that A predicts better by most, and N that B does.",
)  # fmt: skip
@data_options
@device_option
@json_option("one JSON object")
def command(
    run_a: Path,
    run_b: Path,
    sources: tuple[str, ...],
    part: str | None,
    most: int,
    data: dict[str, str],
    device: str,
    as_json: bool,
) -> None:
    """Measure which of two models predicts a text better, by how much, and how certain that is.

    The difference is paired: token by token where both runs have one tokenizer, else line by line,
    always in bits per byte and per character.  Negative: A is better.
    """
    from charlm.console.comparison import show_comparison
    from charlm.inference.comparison.difference import compare_runs
    from charlm.inference.loading import load_run

    if bool(sources) == bool(part):
        raise click.UsageError(
            "give either a SOURCE to compare on, or --part test to use the runs' own test part"
        )
    a, b = load_run(run_a, device=device), load_run(run_b, device=device)
    records = compare_runs(a, b, sources, part=part, most=most, by_name=True, **data)
    show_comparison(records, as_json=as_json)
