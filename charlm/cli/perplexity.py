"""``charlm perplexity``."""

from pathlib import Path

import click

__all__ = ["command"]


@click.command("perplexity")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option(
    "--part",
    type=click.Choice(["train", "valid", "test"]),
    help="A part of the run's own text, instead of a SOURCE.",
)
@click.option("--step", type=int, default=None, help="Which checkpoint.  [default: the best]")
@click.option("--encoding", default=None, help="How SOURCE is encoded.  [default: as in training]")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, auto.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(
    run: Path,
    sources: tuple[str, ...],
    part: str | None,
    step: int | None,
    encoding: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Say how well a model predicts text: perplexity, bits per character and per byte.

    The text is read once as one stream, the state carried; every token is predicted from all
    before it, and what is printed does not depend on batches or segments.
    """
    from charlm.cli.signals import stopping
    from charlm.console.figures import show_score
    from charlm.data.encoding import encode_documents
    from charlm.inference.loading import load_part, load_run, open_for
    from charlm.inference.scoring import score_documents, score_store

    if bool(sources) == bool(part):
        raise click.UsageError("give text to score, or --part test for the run's own")
    loaded = load_run(run, step=step, device=device)
    if part:
        scored = score_store(loaded.model, load_part(loaded, part), loaded.tokenizer.unknown_id)
        size = None
    else:
        corpus = open_for(loaded, sources, encoding)
        size = corpus.size
        scored = score_documents(
            loaded.model, loaded.tokenizer, encode_documents(loaded.tokenizer, corpus)
        )
    with stopping() as stop:
        show_score(loaded, scored, sources or (f"{run} ({part})",), size, stop, as_json=as_json)
    click.get_current_context().exit(stop.code)
