"""``charlm recipes``."""

import click

from charlm.cli.frame import Command
from charlm.cli.shared import json_option


@click.command("recipes", cls=Command, short_help="List settings that are known to work well.")
@json_option("one JSON object per recipe")
def command(as_json: bool) -> None:
    """List the recipes: settings for known corpora, and the figure each of them reaches.

    Use one with: charlm train --recipe NAME
    """
    from charlm.console.recipes import show_recipes
    from charlm.training.recipes import list_recipes

    show_recipes(list_recipes(), as_json=as_json)
