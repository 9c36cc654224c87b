"""``charlm corpora``."""

from pathlib import Path

import click

__all__ = ["command"]


@click.group("corpora", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Known corpora: list, show, fetch them, or make text of known entropy."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_corpora, as_json=False)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per corpus.")
def list_corpora(as_json: bool) -> None:
    """Name all corpora."""
    from charlm.console.corpora import show_cards
    from charlm.data.catalogue import list_cards

    show_cards(list_cards(), as_json=as_json)


@command.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show_corpus(name: str, as_json: bool) -> None:
    """Show a corpus: licence, origin, split, published figures."""
    from charlm.console.corpora import show_card
    from charlm.data.catalogue import read_card

    show_card(read_card(name), as_json=as_json)


@command.command("fetch")
@click.argument("name")
def fetch_corpus(name: str) -> None:
    """Download a corpus and verify it; a broken download is resumed."""
    from charlm.console.corpora import show_fetching
    from charlm.data.catalogue import read_card
    from charlm.data.fetching import fetch

    show_fetching(name, fetch(read_card(name)))


@command.command("make")
@click.argument("kind", type=click.Choice(["markov", "nested"]))
@click.option("--out", "-o", type=click.Path(path_type=Path), required=True, help="The file.")
@click.option("--chars", type=click.IntRange(1), default=1_000_000, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the source, like order=3; see the JSON beside the file.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def make_corpus(
    kind: str, out: Path, chars: int, seed: int, assignments: tuple[str, ...], as_json: bool
) -> None:
    """Write text whose entropy rate is known exactly.

    markov: a random Markov source; nested: brackets that close far from where they opened.
    """
    from charlm.config import parse_value
    from charlm.console.corpora import show_made
    from charlm.data.made import made_source, write_made

    pairs = (assignment.partition("=") for assignment in assignments)
    source = made_source(kind, **{name.strip(): parse_value(value) for name, _, value in pairs})
    show_made(out, write_made(source, out, chars, seed), as_json=as_json)
