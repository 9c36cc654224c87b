"""The page on methods names settings that are there, and its example can be trained."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from charlm.config import Config, ModelConfig, TrainConfig, merge, named_values, tables_of
from charlm.model.language_model import LanguageModel

PAGE = (Path(__file__).parents[1] / "docs" / "methods.md").read_text(encoding="utf-8")
FIELDS = {
    f"{section.name}.{field.name}"
    for section in (ModelConfig, TrainConfig)
    for field in fields(section)
}
NAMED = set(re.findall(r"`((?:model|training)\.\w+)", PAGE)) - {"model.safetensors"}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_a_setting_that_is_named_is_there(name: str) -> None:
    assert name in FIELDS


@pytest.mark.parametrize(
    "assignment", sorted(set(re.findall(r"`((?:model|training)\.\S+=\w+)`", PAGE)))
)
def test_a_setting_that_is_shown_can_be_given(assignment: str) -> None:
    more = {"num_layers": 2} if "connections" in assignment else {}
    Config.from_tables(merge({"model": more}, tables_of(named_values([assignment]))))


def test_the_example_is_a_model() -> None:
    assignments = re.findall(r"--set (\S+)", PAGE.partition("```sh")[2].partition("```")[0])
    config = Config.from_tables(tables_of(named_values(assignments)))
    assert config.training.average == "asgd"
    assert LanguageModel(config.model, vocab_size=100).count_parameters() > 10_000_000


def test_every_setting_of_a_network_but_its_size_is_on_the_page() -> None:
    others = {"model.hidden_size", "model.num_layers", "model.kind", "model.order"}
    settings = {name for name in FIELDS if name.startswith("model.")} - others
    assert {name for name in settings if f"`{name}" not in PAGE} == set()
