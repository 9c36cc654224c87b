"""Features of a text, each against figures written down by hand."""

import numpy as np
import pytest

from charlm.errors import ConfigError, CorpusError
from charlm.explain.features import FEATURES, measure_feature


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("line-position", "ab\ncd", "12012"),
        ("quotes", 'a"b" “c”\n\n"d\n\ne', "011001100011100"),
        ("quotes", 'a"b\r\nc\r\n\r\nd', "01111111100"),
        ("brackets", "a(b[c])d)(\n\ne", "0112210001100"),
        ("indentation", "  a b\n\tc\nd", "1222221110"),
        ("word-length", "It was.", "1201230"),
        ("capitals", "It IS", "10011"),
        ("re:[a-z]+$", "ab cd\ne1", "00011000"),
    ],
)
def test_a_feature_is_what_its_name_says(name: str, text: str, values: str) -> None:
    got = measure_feature(name, list(text))
    assert "".join(f"{value:.0f}" for value in got) == values


def test_a_token_has_the_value_of_its_last_character() -> None:
    tokens = ["It", " was", "\n", "so", " it"]
    assert measure_feature("line-position", tokens).tolist() == [2, 6, 0, 2, 5]


@pytest.mark.parametrize("name", list(FEATURES))
def test_every_feature_has_a_number_for_each_character(name: str) -> None:
    text = 'He said "so (it) is".\n\n    x = [1]\r\n\u2028Ünd'
    assert len(FEATURES[name](text)) == len(text)
    assert len(FEATURES[name]("")) == 0


def test_features_that_say_nothing_are_refused_with_a_way_out() -> None:
    for name, error in (("re:(", ConfigError), ("quots", ConfigError), ("capitals", CorpusError)):
        with pytest.raises(error) as refused:
            measure_feature(name, list("small letters"))
        assert refused.value.hint
    with pytest.raises(CorpusError, match="matches nothing"):
        measure_feature("re:Z", list("small letters"))
    assert np.ptp(measure_feature("re:l", list("small letters"))) == 1
