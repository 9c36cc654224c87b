"""``charlm corpora``."""

from pathlib import Path

import click

from charlm.cli.frame import Group, each_once
from charlm.cli.shared import json_option, out_option


@click.group(
    "corpora", cls=Group, short_help="List, show, fetch and make texts.",
    invoke_without_command=True,
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context) -> None:
    """Known corpora: list, show or fetch them, or make text of known entropy."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_corpora, as_json=False)


@command.command("list")
@json_option("one JSON object per corpus")
def list_corpora(as_json: bool) -> None:
    """List all corpora."""
    from charlm.console.corpora import show_cards
    from charlm.data.catalogue.index import list_cards

    show_cards(list_cards(), as_json=as_json)


@command.command("show", short_help="Show all that is known of a corpus.")
@click.argument("name")
@json_option("one JSON object")
def show_corpus(name: str, as_json: bool) -> None:
    """Show a corpus: licence, origin, split, published figures."""
    from charlm.console.corpora import show_card
    from charlm.data.catalogue.index import read_card

    show_card(read_card(name), as_json=as_json)


@command.command("fetch", short_help="Download a corpus and verify it.")
@click.argument("name")
def fetch_corpus(name: str) -> None:
    """Download a corpus and verify it.

    The same command again resumes a download that broke off.
    """
    from charlm.console.corpora import show_fetching
    from charlm.data.catalogue.fetching import fetch
    from charlm.data.catalogue.index import read_card

    show_fetching(name, fetch(read_card(name)))


@command.command("make", short_help="Write text of known entropy.")
@click.argument("kind", type=click.Choice(["markov", "nested", "recall"]))
@out_option("The file to write; the facts go to FILE.json.", "FILE", required=True)
@click.option(
    "--chars", type=click.IntRange(1), default=1_000_000, metavar="N", help="Characters to write."
)
@click.option(
    "--seed", type=click.IntRange(0), default=1, metavar="N",
    help="The same seed gives the same text.",
)  # fmt: skip
@click.option(
    "--set", "assignments", multiple=True, metavar="NAME=VALUE", callback=each_once,
    help="A parameter of the source, like order=3; FILE.json lists all of them.",
)  # fmt: skip
@json_option("one JSON object")
def make_corpus(
    kind: str, out: Path, chars: int, seed: int, assignments: tuple[str, ...], as_json: bool
) -> None:
    """Write text whose entropy rate is known exactly.

    markov: a random Markov source.  nested: brackets that close far from where they opened.
    recall: a symbol that comes again after a gap of noise.
    """
    from charlm.config import named_values
    from charlm.console.corpora import show_synthetic
    from charlm.data.synthetic.kinds import synthetic_source, write_synthetic

    source = synthetic_source(kind, **named_values(assignments))
    show_synthetic(out, write_synthetic(source, out, chars, seed), as_json=as_json)
