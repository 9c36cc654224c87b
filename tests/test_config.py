"""A setting is refused by its name, with what is allowed, what was given, and the nearest name."""

from pathlib import Path

import pytest
import tomli_w

from charlm.config import (
    Config,
    ModelConfig,
    TrainConfig,
    lay_over,
    named_values,
    parse_value,
    read_toml,
    tables_of,
)
from charlm.errors import ConfigError


def with_setting(assignment: str) -> Config:
    return Config.from_tables(tables_of(named_values([assignment])))


def test_tables_come_back_as_the_same_config() -> None:
    config = Config.from_tables(
        {"data": {"sources": ["a"], "split": [90, 10]}, "training": {"minutes": 2}}
    )
    assert Config.from_tables(config.to_tables()) == config


@pytest.mark.parametrize(
    ("assignment", "message", "hint"),
    [
        ("model.hiden_size=3", "unknown setting `model.hiden_size`", "model.hidden_size"),
        ("modle.hidden_size=3", "unknown section modle", "model"),
        ("model.cell=lstn", "unknown value `model.cell='lstn'`", "lstm"),
        ("model.lr=1", "unknown setting `model.lr`", "training.learning_rate"),
        ("training.dropuot=1", "unknown setting `training.dropuot`", "model.dropout"),
        ("model.hidden_size=0", "at least 1", "model.hidden_size"),
        ("model.hidden_size=1.5", "a whole number, got 1.5", ""),
        ("model.hidden_size=true", "a whole number, got True", ""),
        ("model.dropout=1", "at least 0 and less than 1, got 1", ""),
        ("model.dropout=nan", "`model.dropout` must be finite, got nan", ""),
        ("training.learning_rate=inf", "`training.learning_rate` must be finite, got inf", ""),
        (
            "training.learning_rate=1" + "0" * 400,
            "`training.learning_rate` must be finite, got inf",
            "",
        ),
        ("training.minutes=0", "more than 0", ""),
        ("training.minutes=inf", "`training.minutes` must be finite, got inf", ""),
        ("training.warmup=0.7", "`training.warmup=0.7`.*`training.cooldown=0.4`", "less"),
        (
            "model.mogrifier_rank=8",
            "`model.mogrifier_rank=8` does nothing with `model.mogrifier_rounds=0`",
            "mogrifier_rounds",
        ),
        ("data.split=[90, 0]", "`data.split` must be", "`data.split=[90, 10]`"),
        ("data.split=[100]", "`data.split` must be", "`data.split=[90, 10]`"),
        ("tokenizer.vocab_size=1", "at least 4", ""),
        ("training.seed=-1", "at least 0", ""),
    ],
)
def test_bad_settings_are_refused_in_words(assignment: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        with_setting(assignment)
    assert hint in caught.value.hint
    assert "\n" not in str(caught.value) + caught.value.hint


def test_two_budgets_are_refused_naming_both() -> None:
    with pytest.raises(ConfigError, match=r"`training.minutes` and `training.steps`"):
        Config.from_tables({"training": {"minutes": 1, "steps": 5}})


@pytest.mark.parametrize("text", ["", "model", "model.dropout", "=3", "model.=3", "data=3"])
def test_an_assignment_of_the_wrong_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"given as name=value|unknown setting"):
        tables_of(named_values([text]))


def test_a_section_that_is_no_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown section 1"):
        Config.from_tables({1: {}})  # type: ignore[dict-item]


def test_values_are_toml_or_numbers_or_else_plain_text() -> None:
    assigned = ["training.learning_rate=1e-3", "model.dropout=.5", "model.cell=gru"]
    tables = tables_of(named_values(assigned))
    model = {"dropout": 0.5, "cell": "gru"}
    assert tables == {"training": {"learning_rate": 1e-3}, "model": model}
    assert parse_value("3\nother = 4") == "3\nother = 4"


def test_shares_are_fractions_of_the_whole() -> None:
    assert Config().data.shares == pytest.approx((0.9, 0.05, 0.05))
    assert with_setting("data.split=[3, 1]").data.shares == (0.75, 0.25)
    assert with_setting("data.valid=v.txt").data.shares == (1.0,)


def test_a_settings_file_is_read_and_a_bad_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(tomli_w.dumps(Config().to_tables()))
    assert Config.from_tables(read_toml(path)) == Config()
    for content in (b"a = ", b"\xff", b"[" * 9999):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="cannot be read as TOML"):
            read_toml(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_toml(tmp_path / "missing.toml")


def test_what_may_be_decided_is_none_until_it_is_and_then_has_its_default() -> None:
    open_config = Config()
    assert open_config.model.hidden_size is open_config.training.learning_rate is None
    assert "dropout" not in open_config.to_tables()["model"]
    filled = Config.from_tables({"model": {"dropout": 0.5}}).with_defaults()
    assert (filled.model.hidden_size, filled.model.dropout) == (256, 0.5)
    assert (filled.training.batch_size, filled.training.learning_rate) == (32, 6e-3)
    assert filled.with_defaults() == filled


def test_more_parts_than_lanes_are_refused_once_the_lanes_are_known() -> None:
    parts = with_setting("training.accumulate=64")  # minutes may give them enough lanes
    with pytest.raises(ConfigError, match=r"`training.accumulate=64`.*`training.batch_size=32`"):
        parts.with_defaults()


@pytest.mark.parametrize(
    ("tables", "cause", "way_out"),
    [
        (
            {"training": {"momentum": 0.9}},
            "`training.momentum=0.9` does nothing with `training.optimizer='adamw'`",
            "leave it out, or choose another `training.optimizer`: sgd",
        ),
        (
            {"training": {"plateau_factor": 3.5, "schedule": "cosine"}},
            "`training.plateau_factor=3.5` does nothing with `training.schedule='cosine'`",
            "plateau",
        ),
        (
            {"tokenizer": {"kind": "word"}, "model": {"kind": "ngram", "tie_weights": False}},
            "`model.tie_weights=false` does nothing with `model.kind='ngram'`",
            "recurrent",
        ),
    ],
)
def test_a_setting_without_its_companion_is_refused(
    tables: dict[str, dict[str, object]], cause: str, way_out: str
) -> None:
    with pytest.raises(ConfigError, match=cause) as caught:
        Config.from_tables(tables)
    assert way_out in caught.value.hint
    Config.from_tables(tables, drop_idle=True)


def test_companions_are_asked_of_sections_made_in_python_too() -> None:
    with pytest.raises(ConfigError, match=r"does nothing with `training.optimizer='adamw'`"):
        Config(training=TrainConfig(momentum=0.9))
    # Defaults that were filled in or written down do no harm.
    Config(model=ModelConfig(kind="ngram", hidden_size=256), training=TrainConfig(momentum=0.0))


def test_a_rival_gives_way_to_what_is_laid_over_it() -> None:
    below = {"training": {"minutes": 3, "bptt": 9}, "data": {"split": [90, 10]}}
    laid = lay_over(below, {"training": {"steps": 5}, "data": {"valid": ["v"]}})
    assert laid == {"training": {"steps": 5, "bptt": 9}, "data": {"valid": ["v"]}}


def test_keyword_arguments_are_settings_by_their_shortest_name() -> None:
    given = {"hidden_size": 9, "tokenizer": "bpe", "training": {"bptt": 5}, "model.cell": "gru"}
    assert tables_of(given | {"minutes": None, "temperature": 0.5}) == {
        "model": {"hidden_size": 9, "cell": "gru"},
        "tokenizer": {"kind": "bpe"},
        "training": {"bptt": 5},
        "generation": {"temperature": 0.5},
    }


@pytest.mark.parametrize(
    ("name", "cause", "way_out"),
    [
        ("lr", "unknown setting `lr`", "did you mean training.learning_rate?"),
        ("hiden_size", "unknown setting `hiden_size`", "did you mean model.hidden_size?"),
        ("kind", "`kind` could be `tokenizer.kind` or `model.kind`", "section"),
        ("model.minutes", "unknown setting `model.minutes`", "did you mean training.minutes?"),
        ("zzzz", "unknown setting `zzzz`", "known: data, tokenizer, model, training, generation"),
    ],
)
def test_an_unknown_or_ambiguous_name_is_refused_with_the_right_one(
    name: str, cause: str, way_out: str
) -> None:
    with pytest.raises(ConfigError, match=cause) as caught:
        tables_of({name: 1})
    assert way_out in caught.value.hint


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("lr=1e-3", "did you mean training.learning_rate?"),
        ("dropuot=.1", "did you mean model.dropout?"),
        ("kind=char", "name the section too"),
    ],
)
def test_a_key_alone_is_enough_where_one_section_has_it(text: str, meant: str) -> None:
    assert tables_of(named_values(["hidden_size=3"])) == tables_of(
        named_values(["model.hidden_size=3"])
    )
    with pytest.raises(ConfigError) as caught:
        tables_of(named_values([text]))
    assert caught.value.hint == meant
