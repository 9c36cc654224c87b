"""Recipes are settings that work, each with what it reached."""

import pytest

from charlm.config import Config
from charlm.data.catalogue.index import read_card
from charlm.errors import ConfigError
from charlm.training.recipes import Recipe, list_recipes, read_recipe

RECIPES = list_recipes()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_every_recipe_is_for_a_known_corpus_and_a_budget_of_its_own(recipe: Recipe) -> None:
    config = Config.from_tables(recipe.settings)
    read_card(recipe.corpus)
    assert config.training.minutes == recipe.minutes
    assert "seed" not in recipe.settings.get("training", {})


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_figure_names_its_seeds_and_a_recipe_without_one_says_so(recipe: Recipe) -> None:
    assert (recipe.figure is None) == (recipe.seeds == 0)
    assert ("not measured" in recipe.measured) == (recipe.figure is None)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_nothing_of_a_models_shape_is_left_to_the_minutes(recipe: Recipe) -> None:
    """Or the same recipe would be another model with ``--epochs``."""
    assert {"hidden_size", "dropout"} <= recipe.settings["model"].keys()
    if recipe.settings["tokenizer"]["kind"] == "word":
        assert {"embedding_size", "adaptive_softmax"} <= recipe.settings["model"].keys()


def test_an_unknown_recipe_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as error:
        read_recipe("tinyshakespear-2min")
    assert "tinyshakespeare-2min" in error.value.hint
