"""``charlm decompress``."""

from pathlib import Path

import click

from charlm.cli.compress import output_options
from charlm.cli.frame import Command
from charlm.cli.shared import FILE, RunPath, json_option


@click.command("decompress", cls=Command, short_help="Restore a file that charlm has compressed.")
@click.argument("file", metavar="FILE", type=FILE)
@click.option(
    "--run", type=RunPath(), metavar="RUN",
    help="The run it was compressed with.  [default: the path it had then]",
)  # fmt: skip
@output_options("FILE without .charlm")
@json_option("one JSON object")
def command(file: Path, run: Path | None, out: Path | None, force: bool, as_json: bool) -> None:
    """Restore a file that charlm has compressed, bit for bit; write nothing if that fails."""
    from charlm.console.compression import draw_progress, show_decompressed
    from charlm.inference.compression import files
    from charlm.inference.compression.archive import read_archive
    from charlm.inference.compression.codec import decompress
    from charlm.inference.loading import load_run

    target = files.choose_output(file, out, packs=False, force=force)
    if as_json and target == files.STREAM:
        raise click.UsageError("--json and the file would both go to standard output")
    packed = files.read_input(file)
    archive = read_archive(packed, str(file))
    loaded = load_run(files.find_run(file, archive, run), step=archive.step)
    done = draw_progress(decompress(loaded, packed, str(file)))
    files.save(target, done.content, force=force)
    show_decompressed(done, file, target, as_json=as_json)
