"""``charlm perplexity``."""

from pathlib import Path

import click

from charlm.cli.mixing import Mix, mix_options
from charlm.cli.shared import (
    device_option,
    encoding_option,
    json_option,
    run_argument,
    step_option,
)

__all__ = ["command"]


@click.command("perplexity", short_help="Say how well a model predicts text.")
@run_argument
@click.argument("sources", nargs=-1, metavar="SOURCE...", type=click.Path())
@click.option(
    "--part",
    type=click.Choice(["train", "valid", "test"]),
    help="Score this part of the run's own text, instead of SOURCE.",
)
@encoding_option
@mix_options
@step_option
@device_option("auto")
@json_option("one JSON object")
def command(
    run: Path,
    sources: tuple[str, ...],
    part: str | None,
    encoding: str | None,
    mix: Mix,
    step: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Say how well a model predicts text: perplexity, bits per character and per byte.

    The text is read once as one stream, the state carried; every token is predicted from all
    before it, and what is printed does not depend on batches or segments.
    """
    from charlm.console.figures import show_score
    from charlm.data.encoding import encode_documents
    from charlm.inference.loading import load_part, load_run, open_for
    from charlm.inference.scoring import score_documents, score_store

    if bool(sources) == bool(part):
        raise click.UsageError("give either a SOURCE to score, or --part test for the run's own")
    if part and encoding:
        raise click.UsageError("--encoding does nothing with --part")
    loaded = mix(load_run(run, step=step, device=device))
    if part:
        store = load_part(loaded, part)
        scored = score_store(loaded.model, store, loaded.tokenizer.unknown_id)
        show_score(loaded, scored, (f"the {part} part",), store.counts.bytes, as_json=as_json)
    else:
        corpus = open_for(loaded, sources, encoding)
        pieces = encode_documents(loaded.tokenizer, corpus)
        scored = score_documents(loaded.model, loaded.tokenizer, pieces)
        show_score(loaded, scored, corpus.names, corpus.size, as_json=as_json)
