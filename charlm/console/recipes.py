"""The list of recipes."""

import dataclasses
import sys
from collections.abc import Iterable

from charlm.console.streams import print_json
from charlm.training.recipes import Recipe

__all__ = ["show_recipes"]


def show_recipes(recipes: Iterable[Recipe], *, as_json: bool) -> None:
    """Two lines each: name and what it is; minutes, machine and figure."""
    for recipe in recipes:
        if as_json:
            print_json(dataclasses.asdict(recipe))
            continue
        sys.stdout.write(f"{recipe.name:<22} {recipe.about}\n")
        sys.stdout.write(
            f"{'':<22} {recipe.minutes:g} minutes on {recipe.hardware}: {recipe.measured}\n"
        )
