"""``charlm score``."""

from pathlib import Path

import click

__all__ = ["command"]

UNITS = ("token", "char", "word", "line")


@click.command("score")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--by",
    "unit",
    type=click.Choice(UNITS),
    default="word",
    show_default=True,
    help="One row for each of these.",
)
@click.option(
    "--unit",
    "measure",
    type=click.Choice(["bits", "nats", "log10"]),
    default="bits",
    show_default=True,
    help="What surprisal is measured in.",
)
@click.option("--step", type=int, default=None, help="Which checkpoint.  [default: the best]")
@click.option("--encoding", default=None, help="How SOURCE is encoded.  [default: as in training]")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, auto.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per row instead of TSV.")
def command(
    run: Path,
    sources: tuple[str, ...],
    unit: str,
    measure: str,
    step: int | None,
    encoding: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Say how surprising each word, character, token or line of a text is.

    The surprisals of all rows sum to that of the text.
    """
    from charlm.cli.signals import stopping
    from charlm.console.figures import show_surprisals
    from charlm.data.encoding import encode_documents
    from charlm.inference.loading import load_run, open_for
    from charlm.inference.surprisal import surprisals

    loaded = load_run(run, step=step, device=device)
    pieces = encode_documents(loaded.tokenizer, open_for(loaded, sources, encoding))
    rows = surprisals(loaded.model, loaded.tokenizer, pieces, unit)
    with stopping() as stop:
        show_surprisals(rows, measure, stop, as_json=as_json)
    click.get_current_context().exit(stop.code)
