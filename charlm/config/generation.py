"""How a model writes: the settings of generation."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

from charlm.config.section import Section, setting
from charlm.errors import ConfigError

__all__ = ["GenerationConfig"]

COLDEST, HOTTEST = 1e-6, 1e6
"""Temperatures beyond them would overflow or underflow float32, in which logits are divided."""

NEEDS = {
    "temperature_shape": ("temperature_end",),
    "penalty_window": (
        "repetition_penalty", "presence_penalty", "frequency_penalty", "no_repeat_ngram",
        "dry_multiplier",
    ),
    "dry_base": ("dry_multiplier",),
    "dry_allowed_length": ("dry_multiplier",),
    "dry_breakers": ("dry_multiplier",),
    "xtc_threshold": ("xtc_probability",),
    "mirostat_rate": ("mirostat_tau",),
}  # fmt: skip
"""Settings that do nothing unless one of these others is set."""

RIVALS = {
    "mirostat_tau": (
        "top_k", "top_n_sigma", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_p", "min_p",
        "xtc_probability",
    ),
    "allowed": ("banned",),
}  # fmt: skip
"""Settings that contradict each other: both decide which tokens stay."""

ALWAYS = ("length", "temperature", "top_k", "top_p", "min_p")
"""Settings that every ``run.toml`` holds."""

RANDOM = ("temperature_end", "xtc_probability", "mirostat_tau")
"""Settings that mean nothing where the most probable token is taken."""


@dataclass(frozen=True, kw_only=True)
class GenerationConfig(Section):
    """How each next token is sampled, and how much is written.

    Filters work in the order in which their settings stand here from ``logit_bias`` on.
    """

    name: ClassVar[str] = "generation"

    length: int = setting(500, "Characters, or units, to write; -1: without end.", minimum=-1)
    unit: str = setting(
        "characters", "What `length` counts.",
        choices=("characters", "words", "sentences", "lines", "paragraphs", "tokens"),
    )  # fmt: skip
    whole: str = setting(
        "none", "Once `length` is reached, go on to the end of the word, sentence or line.",
        choices=("none", "word", "sentence", "line"),
    )  # fmt: skip
    pattern: str = setting(
        "", "Regular expression that the whole text, prompt included, must match.  [default: none]"
    )
    logit_bias: tuple[str, ...] = setting(
        (), 'Add to the logit of a symbol, word or piece, like "the=1.5".'
    )
    banned: str = setting("", "Characters that must not be written.")
    allowed: str = setting("", "The only characters that may be written.  [default: all]")
    max_copy: int = setting(
        0, "Never copy more than N characters in a row from the training text; 0: off.", minimum=0
    )
    repetition_penalty: float = setting(
        1.0, "Multiply the log-probability of tokens that have occurred by X; 1: off.", minimum=1
    )
    presence_penalty: float = setting(
        0.0, "Subtract X from the logits of tokens that have occurred."
    )
    frequency_penalty: float = setting(
        0.0, "Subtract X from the logit of a token each time it has occurred."
    )
    penalty_window: int = setting(
        0, "How many of the last tokens the penalties, no_repeat_ngram and dry see; 0: all.",
        minimum=0,
    )  # fmt: skip
    dry_multiplier: float = setting(
        0.0, "DRY: penalty of a token that goes on repeating dry_allowed_length tokens; 0: off.",
        minimum=0,
    )  # fmt: skip
    dry_base: float = setting(
        1.75, "DRY: factor of the penalty for each further token that is repeated.", minimum=1
    )
    dry_allowed_length: int = setting(
        12, "DRY: how many tokens may be repeated without a penalty.", minimum=1
    )
    dry_breakers: str = setting(
        '\n:"*', "DRY: a repetition does not reach back over a token with one of these characters."
    )
    no_repeat_ngram: int = setting(
        0, "Never write the same N tokens in a row twice; 0: off.", minimum=0
    )
    temperature: float = setting(
        0.8, "Divide the logits by X: lower is more predictable, 0 takes the likeliest token.",
        minimum=0, maximum=HOTTEST,
    )  # fmt: skip
    temperature_end: float | None = setting(
        None, "Temperature at the end of the text, at `length`.  [default: constant]",
        minimum=COLDEST, maximum=HOTTEST,
    )  # fmt: skip
    temperature_shape: str = setting(
        "linear", "How the temperature goes to temperature_end.",
        choices=("linear", "cosine", "geometric"),
    )  # fmt: skip
    top_n_sigma: float = setting(
        0.0, "Keep tokens whose logits are within X standard deviations of the largest; 0: off.",
        minimum=0,
    )  # fmt: skip
    top_k: int = setting(0, "Sample from the N most probable tokens only; 0: from all.", minimum=0)
    typical_p: float = setting(
        1.0, "Sample from the tokens of the most typical surprise whose probabilities sum to X.",
        above=0, maximum=1,
    )  # fmt: skip
    epsilon_cutoff: float = setting(
        0.0, "Leave out tokens less probable than X.", minimum=0, below=1
    )
    eta_cutoff: float = setting(
        0.0, "Leave out tokens less probable than X, or less where many are probable.",
        minimum=0, below=1,
    )  # fmt: skip
    top_p: float = setting(
        1.0,
        "Sample from the most probable tokens whose probabilities sum to X.",
        above=0,
        maximum=1,
    )
    min_p: float = setting(
        0.0, "Leave out tokens less than X times as probable as the most probable one.",
        minimum=0, maximum=1,
    )  # fmt: skip
    xtc_probability: float = setting(
        0.0, "XTC: how often the most probable of several good tokens are left out; 0: never.",
        minimum=0, maximum=1,
    )  # fmt: skip
    xtc_threshold: float = setting(0.1, "XTC: how probable a good token is.", above=0, maximum=0.5)
    mirostat_tau: float = setting(
        0.0, "Mirostat 2: mean surprise to aim at, in bits per token; 0: off.", minimum=0
    )
    mirostat_rate: float = setting(
        0.1, "Mirostat 2: how fast it corrects the surprise.", above=0, maximum=1
    )

    def to_table(self) -> dict[str, Any]:
        """The section as a TOML table; of all but the oldest settings those that were changed,
        since most are neutral.
        """
        keep = {*ALWAYS, *changed(self)}
        return {name: value for name, value in super().to_table().items() if name in keep}

    def check(self) -> None:
        """A temperature is 0 or large enough to divide by; settings do not contradict others."""
        if 0 < self.temperature < COLDEST:
            raise ConfigError(
                f"`{self.name}.temperature` must be 0 or at least {COLDEST:g}, "
                f"got {self.temperature:g}",
                "use `temperature=0`, which takes the most probable token",
            )
        for check in (check_companions, check_rivals, check_end):
            check(self, changed(self))


def changed(config: GenerationConfig) -> set[str]:
    """The names of the settings that differ from their defaults."""
    return {
        entry.name
        for entry in dataclasses.fields(config)
        if getattr(config, entry.name) != entry.default
    }


def check_companions(config: GenerationConfig, given: set[str]) -> None:
    """Raise ``ConfigError`` for a setting that does nothing beside the others."""
    for name, others in NEEDS.items():
        if name in given and not given & set(others):
            raise ConfigError(
                f"`{name}` does nothing without `{others[0]}`",
                f"leave it out, or give `{others[0]}` too",
            )
    for name in RANDOM:
        if name in given and not config.temperature:
            raise ConfigError(
                f"`{name}` does nothing with `temperature=0`, which takes the likeliest token",
                f"leave out `{name}`, or give another `temperature`",
            )


def check_rivals(_: GenerationConfig, given: set[str]) -> None:
    """Raise ``ConfigError`` for two settings that contradict each other."""
    for name, others in RIVALS.items():
        for other in others:
            if {name, other} <= given:
                raise ConfigError(
                    f"`{name}` and `{other}` contradict each other", f"leave out `{other}`"
                )


def check_end(config: GenerationConfig, given: set[str]) -> None:
    """Raise ``ConfigError`` where something needs a text whose length in tokens or characters is
    known.
    """
    known = config.length >= 0 and config.unit in ("characters", "tokens")
    if "temperature_end" in given and not known:
        raise ConfigError(
            "`temperature_end` needs a `length` in characters or tokens",
            "give `length`, and leave `unit` out",
        )
    if config.pattern and (config.whole != "none" or config.unit not in ("characters", "tokens")):
        raise ConfigError(
            "`pattern` says where words and lines end, which `unit` and `whole` contradict",
            "leave `unit` and `whole` out, and put the words or lines into the expression",
        )
