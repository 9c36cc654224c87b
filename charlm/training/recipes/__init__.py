"""Recipes: named settings for a corpus, with the figure that they reach.

A recipe is a TOML file in this folder: the table ``recipe`` names its purpose and what was
measured; the sections ``data``, ``tokenizer``, ``model`` and ``training`` hold settings.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm.config.section import unknown_name

__all__ = ["Recipe", "list_recipes", "read_recipe"]

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings for a corpus and the figure that they reach.

    ``figure`` is in the unit ``metric`` on the ``part``, reached in ``minutes`` on ``hardware``;
    ``spread`` is the largest less the smallest of ``seeds`` trainings with other seeds.  Without a
    figure the recipe has not been measured yet, and ``hardware`` is what it is made for.
    """

    name: str
    about: str
    corpus: str
    metric: str
    part: str
    hardware: str
    minutes: float
    figure: float | None = None
    spread: float | None = None
    seeds: int = 0
    note: str = ""
    settings: dict[str, dict[str, Any]]

    @property
    def measured(self) -> str:
        """The figure with its unit and spread, for people."""
        if self.figure is None:
            return "not measured yet"
        spread = f" (spread {self.spread:g} of {self.seeds} seeds)" if self.spread else ""
        return f"{self.figure:g} {self.metric}{spread}"


def names() -> list[str]:
    """The names of all recipes, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def list_recipes() -> tuple[Recipe, ...]:
    """All recipes, in the order of their names."""
    return tuple(read_recipe(name) for name in names())


def read_recipe(name: str) -> Recipe:
    """The recipe of that name.  Raises ``ConfigError`` if there is none."""
    if name not in names():
        raise unknown_name(f"recipe {name}", str(name), names())
    settings = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    return Recipe(name=name, **settings.pop("recipe"), settings=settings)
