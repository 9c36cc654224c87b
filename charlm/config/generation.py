"""The settings of generation."""

from dataclasses import dataclass
from typing import ClassVar

from charlm.config.section import Section, setting

__all__ = ["GenerationConfig"]


@dataclass(frozen=True, kw_only=True)
class GenerationConfig(Section):
    """How the next token is chosen when text is generated."""

    name: ClassVar[str] = "generation"

    temperature: float = setting(
        0.8, "Divide the logits by this; 0: always the likeliest.", minimum=0
    )
    top_k: int = setting(0, "Only the N likeliest; 0: all.", minimum=0)
    top_p: float = setting(
        1.0, "Only the likeliest that together have this probability.", above=0, maximum=1
    )
    min_p: float = setting(
        0.0, "Only those at least this likely relative to the likeliest.", minimum=0, maximum=1
    )
