"""``charlm report``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import RunPath, device_option, force_option, out_option


@click.command("report", cls=Command, short_help="Write a page or a picture on runs.")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RunPath())
@out_option(
    "Where to write: .html, .png, .svg, .pdf, or .tensorboard for a folder of events.", "FILE",
    required=True,
)  # fmt: skip
@force_option
@device_option
def command(runs: tuple[Path, ...], out: Path, force: bool, device: str) -> None:
    """Write a page or a picture on one run or several.

    \b
    .html           one run: curves, scores, samples, gates, settings
                    several: curves in the same pictures, and what differs
    .png .svg .pdf  the curves as a picture (extra plot)
    .tensorboard    the curves as a folder of events (extra tensorboard)

    A page is one file that needs nothing else and no network.
    """
    from charlm.console.pages import draw_reporting
    from charlm.storage.run import open_run
    from charlm.web.reports import write_report

    found = [open_run(run) for run in runs]
    draw_reporting(write_report(found, out, force=force, device=device), out)
