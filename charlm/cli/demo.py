"""``charlm demo``."""

from pathlib import Path

import click

from charlm.cli.frame import Command

__all__ = ["command"]


@click.command("demo", cls=Command, short_help="Train, measure and write, in about a minute.")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("runs/demo"),
    show_default=True,
    metavar="RUN",
    help="The run folder.",
)
@click.option(
    "--minutes",
    type=float,
    default=1.0,
    show_default=True,
    metavar="X",
    help="How long to train.",
)
def command(out: Path, minutes: float) -> None:
    """Train on the help texts that every Python carries, then measure and write.

    Takes about a minute and needs no network.
    """
    from charlm.cli.options import resolve
    from charlm.cli.signals import stopping
    from charlm.console.demo import show_demo
    from charlm.console.training import show_training
    from charlm.training.launch import launch
    from charlm.training.reports import Started

    config, chosen = resolve(["python-docs"], {"training": {"minutes": minutes}})
    with stopping() as stop:
        reports = stop.from_first(Started, launch(config, out, chosen=chosen, stop=stop))
        done = show_training(reports, out, ending=False)
        if done.finished:
            show_demo(out)
    click.get_current_context().exit(stop.code)
