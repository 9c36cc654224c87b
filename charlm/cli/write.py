"""``charlm write``."""

from pathlib import Path
from typing import Any

import click

from charlm.cli.frame import Command, option
from charlm.cli.generate import FILTERING, FILTERS, WRITING, generation_options, what_not_to_copy
from charlm.cli.runs import ChosenRun, model_options
from charlm.cli.shared import run_argument, seed_option


@click.command("write", cls=Command, short_help="Write together with a model, in the terminal.")
@run_argument
@option("--prompt", "-p", default="", show_default=False, metavar="TEXT", heading=WRITING,
        help="Text to begin with.")  # fmt: skip
@option(
    "--out", "-o", metavar="FILE", heading=WRITING,
    type=click.Path(readable=False, path_type=Path, dir_okay=False),
    help="Where the text is kept.  [default: a new file called after RUN]",
)  # fmt: skip
@option("--continue", "append", is_flag=True, heading=WRITING, help="Go on with the text of FILE.")
@option("--force", is_flag=True, heading=WRITING, help="Replace an existing file.")
@generation_options(*FILTERING, "max_copy")
@seed_option(
    "Seed of the first continuation; each further one has the next.  [default: random]", FILTERS
)
@model_options
def command(
    prompt: str,
    out: Path | None,
    append: bool,
    force: bool,
    settings: dict[str, Any],
    seed: int | None,
    chosen: ChosenRun,
) -> None:
    """Write together with a model, in the terminal: type, let it continue by a word, a line or a
    paragraph, choose among the likeliest words, take back, try again.  F1 shows the keys.
    """
    from charlm.console.writing.readiness import check_terminal
    from charlm.inference.generation.writing.transcripts import open_transcript

    check_terminal()
    transcript = open_transcript(out, chosen.run.resolve().name, force=force, append=append)

    from charlm.api import Model
    from charlm.console.writing.conversation import write_together

    loaded = chosen.mix(chosen.load())
    if settings.get("max_copy", loaded.run.config.generation.max_copy):
        what_not_to_copy(loaded)  # is slow, and kept in the cache for the session
    model = Model(loaded)
    session = model.write_session(transcript.saved + prompt, seed=seed, **settings)
    write_together(session, transcript)
