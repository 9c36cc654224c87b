"""``charlm compress``."""

from collections.abc import Callable
from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.shared import FILE, force_option, json_option, out_option, run_argument, step_option

__all__ = ["command", "output_options"]


def output_options(default: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add ``--out``, whose ``default`` the help names, and ``--force``."""
    out = out_option(f"Where to write.  [default: {default}; standard output for -]", "FILE|-")
    return lambda command: out(force_option(command))


@click.command("compress", cls=Command, short_help="Compress a file with a model, losslessly.")
@run_argument
@click.argument("file", metavar="FILE", type=FILE)
@output_options("FILE.charlm")
@click.option("--adapt", is_flag=True, help="Let the model learn while it codes: smaller, slower.")
@click.option(
    "--lanes", type=click.IntRange(1, 1024), metavar="N",
    help="Code N parts of the file side by side: faster and a little larger, because each begins "
    "without context.  [default: by the size]",
)  # fmt: skip
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
    """Compress a file with a model, losslessly.

    Any file will do, however unlike the text that the model was trained on.  The result is
    decompressed and compared before it is written.  Decompressing it takes the run.
    """
    from charlm.console.compression import draw_progress, show_compressed
    from charlm.inference.compression.codec import compress
    from charlm.inference.compression.files import STREAM, choose_output, read_input, save
    from charlm.inference.loading import load_run

    target = choose_output(file, out, packs=True, force=force)
    if as_json and target == STREAM:
        raise click.UsageError("--json and the compressed bytes would both go to standard output")
    content = read_input(file)
    loaded = load_run(run, step=step)
    done = draw_progress(compress(loaded, content, adapt=adapt, lanes=lanes))
    save(target, done.content, force=force)
    show_compressed(loaded, done, file, target, as_json=as_json)
