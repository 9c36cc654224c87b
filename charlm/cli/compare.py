"""``charlm compare``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import device_option, json_option, reading_options

__all__ = ["command"]


@click.command("compare", cls=Command, short_help="Say which of two models predicts a text better.")
@click.argument("run_a", metavar="RUN_A", type=click.Path(path_type=Path))
@click.argument("run_b", metavar="RUN_B", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, metavar="SOURCE...", type=click.Path())
@click.option(
    "--part",
    type=click.Choice(["valid", "test"]),
    help="Compare on this part of the text that both runs were made from, instead of SOURCE.",
)
@click.option(
    "--most",
    default=10,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Show N places where A is better by most, and N where B is.",
)
@reading_options
@device_option("auto")
@json_option("one JSON object")
def command(
    run_a: Path,
    run_b: Path,
    sources: tuple[str, ...],
    part: str | None,
    most: int,
    reading: dict[str, str],
    device: str,
    as_json: bool,
) -> None:
    """Say which of two models predicts a text better, by how much, and how sure that is.

    The difference is paired: token by token where the tokenizers are the same, and line by line
    where they are not, always in bits per byte and per character.  Negative: A is better.
    """
    from charlm.console.comparison import show_comparison
    from charlm.inference.comparison.difference import pair_part, pair_sources
    from charlm.inference.loading import load_run

    if bool(sources) == bool(part):
        raise click.UsageError("give either a SOURCE to compare on, or --part test for the runs'")
    a, b = load_run(run_a, device=device), load_run(run_b, device=device)
    text = pair_part(a, b, part, most) if part else pair_sources(a, b, sources, most, reading)
    show_comparison(a, b, text, most, as_json=as_json)
