"""``charlm demo``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import out_option


@click.command("demo", cls=Command, short_help="Train, measure and write, in about a minute.")
@out_option("The run folder.", default=Path("runs/demo"))
@click.option("--minutes", type=float, default=1.0, metavar="X", help="Train for X minutes.")
def command(out: Path, minutes: float) -> None:
    """Train on the help texts that every Python carries, then measure and write.

    Takes about a minute and needs no network.
    """
    from charlm.api import train
    from charlm.api.samples import with_samples
    from charlm.cli.signals import stopping
    from charlm.console.demo import show_demo
    from charlm.console.training import is_live, show_training
    from charlm.inference.demonstration import demonstrate
    from charlm.training.reports import Started

    with stopping() as stop:
        reports = train(["python-docs"], out, minutes=minutes, stop=stop)
        reports = stop.from_first(Started, reports)
        done = show_training(with_samples(reports) if is_live() else reports, ending=False)
        if done.finished:
            show_demo(demonstrate(out))
    click.get_current_context().exit(stop.code)
