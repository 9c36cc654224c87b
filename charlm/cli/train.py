"""``charlm train``."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from charlm.cli.frame import Command
from charlm.cli.options import setting_options
from charlm.cli.shared import FILE, json_option, out_option


@click.command("train", cls=Command, short_help="Train a model on text, or resume a run.")
@click.argument("sources", nargs=-1, metavar="SOURCE...", type=click.Path(readable=False))
@out_option("The run folder.  [default: runs/NAME]")
@click.option("--recipe", metavar="NAME", help="Settings that are known to work (charlm recipes).")
@setting_options
@click.option(
    "--config", "config_file", type=FILE, metavar="FILE", help="Read settings from a TOML file."
)
@click.option("--dry-run", is_flag=True, help="Print the settings of the training, and stop.")
@json_option("one JSON object per report")
def command(
    sources: tuple[str, ...], out: Path | None, recipe: str | None,
    settings: dict[str, dict[str, Any]], config_file: Path | None, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Tokenize text and train a model on it.

    SOURCE is a file, folder, glob, .gz, table (.jsonl .csv .tsv .parquet), dataset folder,
    hf:owner/name, the name of a corpus (charlm corpora), or - for standard input.

    The same command again resumes the training where it stopped; so does --out RUN alone.  --from
    RUN begins with the weights of another run.  An option wins over --set, that over --config, and
    that over --recipe.  What is "decided" is chosen by the minutes, the text and the machine.
    """
    from charlm.api import train
    from charlm.api.arguments import run_folder
    from charlm.api.samples import with_samples
    from charlm.cli.signals import stopping
    from charlm.cli.translation import translated
    from charlm.console.plan import show_plan
    from charlm.console.training import is_live, show_training
    from charlm.training.distributed import join_world
    from charlm.training.launch import plan
    from charlm.training.reports import Started

    given: Any = {"recipe": recipe, "config_file": config_file, **settings}
    if dry_run:
        show_plan(translated(plan(sources, out, find_run=run_folder, **given)), as_json=as_json)
        return
    world = join_world()
    with stopping() as stop:
        reports = train(sources, out, stop=stop, save=stop.save, world=world, **given)
        reports = stop.from_first(Started, reports)
        watched = with_samples(reports) if is_live() and world.first and not as_json else reports
        show_training(translated(watched), as_json=as_json, silent=not world.first)
    world.leave()
    leave(stop.code, at_once=world.size > 1)


def leave(code: int, at_once: bool) -> None:
    """End the command; ``at_once`` without ending the interpreter.

    Gloo's threads may still run meanwhile, and now and then abort it (PyTorch's pull request
    179291).
    """
    if at_once:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    click.get_current_context().exit(code)
