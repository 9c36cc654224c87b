"""``charlm decompress``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option

__all__ = ["command"]


@click.command(
    "decompress", cls=Command, short_help="Bring back a file that charlm has compressed."
)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="The run it was compressed with.  [default: what it was called then]",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE|-",
    help="Where to write.  [default: FILE without .charlm; standard output for -]",
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@json_option("one JSON object")
def command(file: Path, run: Path | None, out: Path | None, force: bool, as_json: bool) -> None:
    """Bring back a file that charlm has compressed, bit for bit, or write nothing."""
    from charlm.console.compression import show_decompressed, watch
    from charlm.inference.compression.archive import read_archive
    from charlm.inference.compression.codec import decompress
    from charlm.inference.compression.files import (
        STREAM,
        find_run,
        name_original,
        read_source,
        save,
    )
    from charlm.inference.loading import load_run

    target = name_original(file, out, force=force)
    if as_json and target == STREAM:
        raise click.UsageError("--json and the file would both go to standard output")
    archive = read_archive(read_source(file), str(file))
    loaded = load_run(find_run(file, archive.header, run), step=archive.header.step)
    done = watch(decompress(loaded, archive, str(file)))
    save(target, done.content, force=force)
    show_decompressed(done, file, target, as_json=as_json)
