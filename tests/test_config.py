"""A setting is refused by its name, with what is allowed, what was given, and the nearest name."""

from pathlib import Path

import pytest
import tomli_w

from charlm.config import Config, merge, parse_assignment, read_toml
from charlm.errors import ConfigError


def with_setting(assignment: str) -> Config:
    return Config.from_tables(parse_assignment(assignment))


def test_tables_come_back_as_the_same_config() -> None:
    config = Config.from_tables(
        {"data": {"sources": ["a"], "split": [90, 10]}, "training": {"minutes": 2}}
    )
    assert Config.from_tables(config.to_tables()) == config


@pytest.mark.parametrize(
    ("assignment", "message", "hint"),
    [
        ("model.hiden_size=3", "unknown setting model.hiden_size", "model.hidden_size"),
        ("modle.hidden_size=3", "unknown section modle", "model"),
        ("model.cell=lstn", "unknown model.cell = lstn", "lstm"),
        ("model.hidden_size=0", "at least 1", "model.hidden_size"),
        ("model.hidden_size=1.5", "a whole number, got 1.5", ""),
        ("model.hidden_size=true", "a whole number, got True", ""),
        ("model.dropout=1", "at least 0 and less than 1, got 1.0", ""),
        ("model.dropout=nan", "model.dropout must be", ""),
        ("training.learning_rate=inf", "training.learning_rate must be", ""),
        ("training.learning_rate=1" + "0" * 400, "training.learning_rate must be", ""),
        ("training.minutes=0", "more than 0", ""),
        ("training.accumulate=64", r"training.accumulate \(64\).*training.batch_size \(32\)", ""),
        ("training.warmup=0.7", r"training.warmup \(0.7\).*training.cooldown \(0.4\)", "less"),
        (
            "model.mogrifier_rank=8",
            r"mogrifier_rank is 8.*mogrifier_rounds is 0",
            "mogrifier_rounds",
        ),
        ("data.split=[90, 0]", "data.split must be", "--split"),
        ("data.split=[100]", "data.split must be", "--split"),
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
    with pytest.raises(ConfigError, match=r"training.minutes and training.steps"):
        Config.from_tables({"training": {"minutes": 1, "steps": 5}})


@pytest.mark.parametrize("text", ["", "model", "model.dropout", "dropout=3", "=3", "model.=3"])
def test_an_assignment_of_the_wrong_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="section"):
        parse_assignment(text)


def test_values_are_toml_or_numbers_or_else_plain_text() -> None:
    assigned = ["training.learning_rate=1e-3", "model.dropout=.5", "model.cell=gru"]
    tables = merge(*map(parse_assignment, assigned))
    model = {"dropout": 0.5, "cell": "gru"}
    assert tables == {"training": {"learning_rate": 1e-3}, "model": model}


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
