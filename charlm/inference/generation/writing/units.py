"""Units of a text that is being written: how long they may become, and the last one."""

import unicodedata
from typing import Any, Literal

from charlm.errors import ConfigError

__all__ = ["LONGEST", "TextUnit", "check_unit", "last_unit"]

TextUnit = Literal["character", "word", "line", "paragraph"]
"""How much the model writes, or is taken back, at a time."""

LONGEST = {"character": 1, "word": 100, "line": 2_000, "paragraph": 10_000}
"""Characters after which a unit is broken off: a model may never end it."""

JOINER = "\u200d"
"""Joins the characters around it into one."""


def check_unit(unit: str) -> Any:
    """The unit.  Raises ``ConfigError`` for another one."""
    if unit not in LONGEST:
        known = ", ".join(LONGEST)
        raise ConfigError(f"`unit` must be one of {known}, got {unit!r}", f"use {known}")
    return unit


def last_unit(text: str, unit: TextUnit) -> str:
    """The end of ``text`` that one step back removes: a character with its marks, a word with the
    white space around it, a line or a paragraph with the break before it.
    """
    if unit == "character":
        return text[character_start(text) :]
    if unit == "word":
        words = text.rstrip().rsplit(maxsplit=1)
        before = text.rstrip()[: -len(words[-1])] if words else ""
        return text[len(before.rstrip(" \t")) :]
    kept = text.rstrip("\r\n")
    count = 1 if unit == "line" else 2
    unix, windows = kept.rfind("\n" * count), kept.rfind("\r\n" * count)
    # The line feed of a CR LF is found too, one character further on.
    return text[max(windows if windows + 1 >= unix else unix, 0) :]


def character_start(text: str) -> int:
    """Where the last character begins, as a reader counts characters: with combining marks, signs
    joined by U+200D, tones of skin, and CR LF.
    """
    start = len(text) - (2 if text.endswith("\r\n") else 1)
    while start > 0 and (
        unicodedata.category(text[start]) in ("Mn", "Me")
        or "\U0001f3fb" <= text[start] <= "\U0001f3ff"
        or JOINER in (text[start], text[start - 1])
    ):
        start -= 1
    return max(start, 0)
