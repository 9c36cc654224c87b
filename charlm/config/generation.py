"""How a model writes: the settings of generation."""

from dataclasses import dataclass
from typing import ClassVar

from charlm.config.section import Section, setting
from charlm.errors import ConfigError

__all__ = ["GenerationConfig"]

COLDEST, HOTTEST = 1e-6, 1e6
"""Temperatures beyond them would overflow or underflow float32, in which logits are divided."""


@dataclass(frozen=True, kw_only=True)
class GenerationConfig(Section):
    """How each next token is sampled, and how much is written."""

    name: ClassVar[str] = "generation"

    length: int = setting(500, "Characters to write.", minimum=0)
    temperature: float = setting(
        0.8, "Divide the logits by X: lower is more predictable, 0 takes the likeliest token.",
        minimum=0, maximum=HOTTEST,
    )  # fmt: skip
    top_k: int = setting(0, "Sample from the N most probable tokens only; 0: from all.", minimum=0)
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

    def check(self) -> None:
        """A temperature is 0 or large enough to divide by."""
        if 0 < self.temperature < COLDEST:
            raise ConfigError(
                f"`{self.name}.temperature` must be 0 or at least {COLDEST:g}, "
                f"got {self.temperature:g}",
                "use `temperature=0`, which takes the most probable token",
            )
