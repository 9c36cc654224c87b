"""How a model writes: the settings of generation."""

from dataclasses import dataclass
from typing import Any, ClassVar

from charlm.config.section import Section, setting
from charlm.errors import ConfigError

__all__ = ["LARGEST_SEED", "GenerationConfig"]

COLDEST, HOTTEST = 1e-6, 1e6
"""Temperatures beyond them would overflow or underflow float32, in which logits are divided."""

LARGEST_SEED = 2**63 - 1
"""The seed of a text is a whole number from 0 to this."""

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
    needs: ClassVar = {
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
    # Both decide which tokens stay.
    rivals: ClassVar = {
        "mirostat_tau": (
            "top_k", "top_n_sigma", "typical_p", "epsilon_cutoff", "eta_cutoff", "top_p", "min_p",
            "xtc_probability",
        ),
        "allowed": ("banned",),
    }  # fmt: skip

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
    length_penalty: float = setting(
        0.0, "`beam`: texts are compared by log-probability / (number of tokens)^X.", minimum=0
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
        1.0, "Sample from the most probable tokens whose probabilities sum to X.",
        above=0, maximum=1,
    )  # fmt: skip
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
        keep = {*ALWAYS, *self.changed()}
        return {name: value for name, value in super().to_table().items() if name in keep}

    def check(self) -> None:
        """A temperature is 0 or large enough to divide by, and nothing contradicts others."""
        given, counted = self.changed(), self.unit in ("characters", "tokens")
        if 0 < self.temperature < COLDEST:
            raise ConfigError(
                f"`generation.temperature` must be 0 or at least {COLDEST:g}, "
                f"got {self.temperature:g}",
                "use `generation.temperature=0`, which takes the most probable token",
            )
        for name in RANDOM:
            if name in given and not self.temperature:
                raise ConfigError(
                    f"`generation.{name}` does nothing with `generation.temperature=0`, which "
                    "takes the likeliest token",
                    f"leave out `generation.{name}`, or give another `generation.temperature`",
                )
        if "temperature_end" in given and not (counted and self.length >= 0):
            raise ConfigError(
                "`generation.temperature_end` needs a `generation.length` in characters or tokens",
                "give `generation.length`, and leave `generation.unit` out",
            )
        if self.pattern and (self.whole != "none" or not counted):
            raise ConfigError(
                "`generation.pattern` says where words and lines end, which `generation.unit` and "
                "`generation.whole` contradict",
                "leave them out, and put the words or lines into the expression",
            )
