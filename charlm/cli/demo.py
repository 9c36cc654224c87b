"""``charlm demo``."""

from pathlib import Path

import click

__all__ = ["command"]


@click.command("demo")
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("runs/demo"),
    show_default=True,
    help="The run folder.",
)
@click.option("--minutes", type=float, default=1.0, show_default=True, help="Train for so long.")
def command(out: Path, minutes: float) -> None:
    """Train on the help texts that every Python carries, then measure and write.

    Takes about a minute and needs no network.
    """
    from charlm.cli.options import resolve_config
    from charlm.cli.signals import stopping
    from charlm.console.demo import show_demo
    from charlm.console.training import show_training
    from charlm.training.launch import launch

    config = resolve_config(["python-docs"], {"training": {"minutes": minutes}})
    with stopping() as stop:
        done = show_training(launch(config, out, stop=stop), out, ending=False)
        if done and done.finished:
            show_demo(out)
    click.get_current_context().exit(stop.code)
