"""``charlm compress``."""

from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option, run_argument, step_option

__all__ = ["command"]


@click.command("compress", cls=Command, short_help="Compress a file with a model, losslessly.")
@run_argument
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    metavar="FILE|-",
    help="Where to write.  [default: FILE.charlm; standard output for -]",
)
@click.option("--adapt", is_flag=True, help="Let the model learn as it codes: smaller and slower.")
@click.option(
    "--lanes",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Code N parts of the file side by side: fast; each begins without context.  "
    "[default: by size]",
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@step_option
@json_option("one JSON object")
def command(
    run: Path,
    file: Path,
    out: Path | None,
    adapt: bool,
    lanes: int | None,
    force: bool,
    step: int | None,
    as_json: bool,
) -> None:
    """Compress a file with a model, losslessly: any bytes, however unlike its text.

    What is written has been decompressed and compared.  To decompress it, the run is needed.
    """
    from charlm.console.compression import show_compressed, watch
    from charlm.inference.compression.codec import compress
    from charlm.inference.compression.files import STREAM, name_compressed, read_source, save
    from charlm.inference.loading import load_run

    target = name_compressed(file, out, force=force)
    if as_json and target == STREAM:
        raise click.UsageError("--json and the compressed bytes would both go to standard output")
    content = read_source(file)
    loaded = load_run(run, step=step)
    done = watch(compress(loaded, content, adapt=adapt, lanes=lanes))
    save(target, done.content, force=force)
    show_compressed(loaded, done, file, target, as_json=as_json)
