"""What options ask for is read exactly, and what cannot be meant is refused."""

import pytest

from charlm.console.adaptation import options_of
from charlm.errors import ConfigError
from charlm.inference.adaptation.methods import (
    Cache,
    Dynamic,
    Evaluation,
    Temperature,
    parse_evaluation,
)


def test_without_options_a_model_is_read_as_it_is() -> None:
    found = parse_evaluation({"temperature": None, "dynamic": None, "cache": None}, ())
    assert found == Evaluation()
    assert (found.mode, found.methods, found.record()) == ("static", (), {"tuned_on": []})


def test_options_give_values_and_leave_the_others_at_their_defaults() -> None:
    found = parse_evaluation(
        {"temperature": "1.1", "dynamic": "lr=2e-3,segment=5", "cache": ""}, ()
    )
    assert found.temperature == Temperature(value=1.1)
    assert found.dynamic == Dynamic(lr=0.002, segment=5)
    assert found.cache == Cache()
    assert found.mode == "dynamic+temperature+cache"
    assert found.free == ()


def test_tuning_is_left_what_was_not_given() -> None:
    given = {"temperature": "", "dynamic": "lr=2e-3", "cache": "theta=1,share=0.1"}
    found = parse_evaluation(given, ("valid",))
    assert found.free == ("dynamic.decay", "temperature.value")
    assert found.tune_on == ("valid",)


def test_the_options_that_are_printed_give_the_same_again() -> None:
    first = Evaluation(
        temperature=Temperature(value=0.926),
        dynamic=Dynamic(lr=0.00141, decay=0.0),
        cache=Cache(window=3000, theta=0.849, share=0.05),
    )
    words = options_of(first).split()
    given = dict(zip([word.removeprefix("--") for word in words[::2]], words[1::2], strict=True))
    assert parse_evaluation(given, ()) == first


def test_a_value_changes_alone() -> None:
    found = Evaluation(dynamic=Dynamic(lr=0.5), cache=Cache()).change("dynamic.decay", 0.25)
    assert found == Evaluation(dynamic=Dynamic(lr=0.5, decay=0.25), cache=Cache())
    assert found.value("dynamic.decay") == 0.25


@pytest.mark.parametrize(
    ("given", "tune_on", "cause", "hint"),
    [
        ({"dynamic": "lr=-1"}, (), "`dynamic.lr` must be at least 0", "change `dynamic.lr`"),
        ({"dynamic": "rl=1"}, (), "unknown setting `dynamic.rl`", "dynamic.lr"),
        ({"dynamic": "book.txt"}, (), "name=value, got 'book.txt'", "`dynamic='lr=0.0005"),
        ({"dynamic": "segment=2.5"}, (), "`dynamic.segment` must be a whole number", ""),
        ({"cache": "share=1"}, (), "`cache.share` must be", "less than 1"),
        ({"cache": "window=0"}, (), "`cache.window` must be at least 1", ""),
        ({"temperature": "0"}, (), "`temperature.value` must be at least 0.01", ""),
        ({"temperature": "1e-46"}, (), "`temperature.value` must be at least 0.01", ""),
        ({"temperature": "4e38"}, (), "and at most 100, got 4e+38", ""),
        ({"temperature": "warm"}, (), "`temperature.value` must be a number", ""),
        ({"temperature": ""}, (), "`temperature` lacks its value", "`tune_on='valid'`"),
        ({}, ("valid",), "`tune_on` has nothing to choose", "`dynamic=True`"),
        ({"temperature": "1.2"}, ("valid",), "`tune_on` has nothing to choose", "values left out"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    given: dict[str, str], tune_on: tuple[str, ...], cause: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as error:
        parse_evaluation(given, tune_on)
    assert cause in str(error.value)
    assert hint in str(error.value) + error.value.hint
