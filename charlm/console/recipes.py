"""The list of recipes."""

import dataclasses
from collections.abc import Iterable

from charlm.console.figures import print_pair
from charlm.console.streams import print_json
from charlm.errors import counted
from charlm.training.recipes import Recipe

__all__ = ["show_recipes"]

NAMES = 22
"""How wide the column of names is."""


def show_recipes(recipes: Iterable[Recipe], *, as_json: bool) -> None:
    """Two lines each: name and what it is; minutes, machine and figure."""
    for recipe in recipes:
        if as_json:
            print_json(dataclasses.asdict(recipe))
            continue
        figure = f"{counted(recipe.minutes, 'minute')} on {recipe.hardware}: {recipe.measured}"
        print_pair(recipe.name, f"{recipe.about}\n{figure}", NAMES)
