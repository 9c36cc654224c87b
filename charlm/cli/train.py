"""``charlm train``."""

from pathlib import Path
from typing import Any

import click

from charlm.cli.options import resolve_config, setting_options

__all__ = ["command"]


@click.command("train")
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option("--out", "-o", type=click.Path(path_type=Path), metavar="RUN", help="The run folder.")
@setting_options
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="Settings (TOML).")
@click.option(
    "--set", "assignments", multiple=True, metavar="SECTION.KEY=VALUE", help="Any setting."
)
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and stop.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per report on stdout.")
def command(
    sources: tuple[str, ...],
    out: Path | None,
    flags: dict[str, dict[str, Any]],
    config_file: Path | None,
    assignments: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Tokenize text and train a model on it.

    SOURCE is a file, folder, glob, .gz, table (.jsonl .csv .tsv .parquet), dataset folder,
    hf:owner/name, the name of a corpus (charlm corpora), or - for standard input.

    The same command again goes on where training stopped; so does --out RUN alone.
    """
    from charlm.cli.signals import stopping
    from charlm.console.training import show_plan, show_training
    from charlm.storage.run import open_run
    from charlm.training.distributed import join_world
    from charlm.training.launch import default_folder, launch, prepare_for

    base = open_run(out).config if out and not sources and not config_file else None
    config = resolve_config(sources, flags, assignments, config_file, base)
    folder = out or default_folder(config)
    world = join_world()
    with stopping() as stop:
        if dry_run:
            show_plan(config, prepare_for(config, stop), as_json=as_json)
        else:
            reports = launch(config, folder, stop=stop, world=world)
            show_training(reports, folder, as_json=as_json, silent=not world.first)
    world.leave()
    click.get_current_context().exit(stop.code)
