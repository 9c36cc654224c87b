"""``charlm train``."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from charlm.cli.frame import Command
from charlm.cli.options import resolve, setting_options
from charlm.cli.shared import json_option

__all__ = ["command"]


@click.command("train", cls=Command, short_help="Train a model on text, or go on with a run.")
@click.argument("sources", nargs=-1, metavar="SOURCE...", type=click.Path())
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="The run folder.  [default: runs/NAME]",
)
@click.option("--recipe", metavar="NAME", help="Settings that are known to work (charlm recipes).")
@setting_options
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read settings from a TOML file.",
)
@click.option(
    "--set", "assignments", multiple=True, metavar="SECTION.KEY=VALUE", help="Any other setting."
)
@click.option("--dry-run", is_flag=True, help="Print what would be trained, and stop.")
@json_option("one JSON object per report")
def command(
    sources: tuple[str, ...],
    out: Path | None,
    recipe: str | None,
    flags: dict[str, dict[str, Any]],
    config_file: Path | None,
    assignments: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Tokenize text and train a model on it.

    SOURCE is a file, folder, glob, .gz, table (.jsonl .csv .tsv .parquet), dataset folder,
    hf:owner/name, the name of a corpus (charlm corpora), or - for standard input.

    The same command again goes on where training stopped; so does --out RUN alone.  What is given
    here wins over --set, that over --config, and that over --recipe.
    """
    from charlm.cli.signals import stopping
    from charlm.console.plan import show_plan
    from charlm.console.training import show_training
    from charlm.model.devices import choose_device
    from charlm.storage.run import open_run
    from charlm.training.distributed import join_world
    from charlm.training.launch import Started, default_folder, launch, plan

    base = open_run(out).config if out and not (sources or config_file or recipe) else None
    config, chosen = resolve(sources, flags, assignments, config_file, base, recipe)
    folder = out or default_folder(config)
    world = join_world()
    choose_device(config.training.device)  # refused before the text is prepared
    with stopping() as stop:
        if dry_run:
            show_plan(folder, plan(config, folder, chosen), as_json=as_json)
        else:
            reports = launch(config, folder, chosen=chosen, stop=stop, world=world)
            shown = stop.from_first(Started, reports)
            show_training(shown, folder, as_json=as_json, silent=not world.first)
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
