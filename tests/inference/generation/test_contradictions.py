"""Settings of generation that contradict each other are refused."""

import pytest

from charlm.config import GenerationConfig
from charlm.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"mirostat_tau": 3.0, "top_p": 0.9},
            "`generation.mirostat_tau` and `generation.top_p` contradict",
        ),
        (
            {"allowed": "ab", "banned": "b"},
            "`generation.allowed` and `generation.banned` contradict",
        ),
        ({"temperature": 0, "xtc_probability": 0.5}, "`generation.xtc_probability` does nothing"),
        (
            {"dry_base": 2.0},
            "`generation.dry_base=2` does nothing with `generation.dry_multiplier=0`",
        ),
        ({"xtc_threshold": 0.6}, "xtc_threshold` must be"),
        (
            {"temperature_end": 1.0, "length": -1},
            "`generation.temperature_end` needs a `generation.length`",
        ),
        ({"unit": "pages"}, "unknown value"),
        ({"typical_p": 0}, "typical_p` must be at most 1 and more than 0"),
    ],
)
def test_contradicting_settings_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GenerationConfig(**given)  # type: ignore[arg-type]
