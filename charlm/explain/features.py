"""Features of a text that a unit may follow: a number for each token."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from charlm.config.section import unknown_name
from charlm.errors import ConfigError, CorpusError

__all__ = ["FEATURES", "measure_feature"]

PATTERN = "re:"
"""What a feature begins with that is a regular expression."""

OPENING, CLOSING = "([{", ")]}"
QUOTES = {'"': (), "“": (True,), "”": (False,), "«": (True,), "»": (False,)}
"""Quotation marks; whether they open or close a quotation, nothing for one that does either."""


def measure_feature(name: str, tokens: Sequence[str]) -> np.ndarray:
    """The feature ``name`` of ``FEATURES`` after each of the tokens (T,), float64.

    ``re:PATTERN`` is 1 within what a regular expression matches and 0 elsewhere; ``^`` and ``$``
    match at line breaks.  A token of several characters has the value of its last one.

    Raises ``ConfigError`` for an unknown name and a wrong expression, and ``CorpusError`` for a
    feature that is the same at all tokens.
    """
    text = "".join(tokens)
    if name.startswith(PATTERN):
        values = within_matches(name.removeprefix(PATTERN), text)
    elif name in FEATURES:
        values = FEATURES[name](text)
    else:
        raise unknown_name(f"`feature` {name!r}", name, [*FEATURES, f"{PATTERN}PATTERN"])
    ends = np.cumsum([len(token) for token in tokens])
    values = np.asarray(np.append(0.0, values)[ends])
    if not len(values) or values.min() == values.max():
        what = "matches nothing in" if name.startswith(PATTERN) else "does not change over"
        raise CorpusError(f"{name} {what} this text", "give another feature, or a longer text")
    return values


def within_matches(pattern: str, text: str) -> np.ndarray:
    """Whether each character (C,) belongs to a match.  Raises ``ConfigError``."""
    try:
        found = re.compile(pattern, re.MULTILINE)
    except re.error as error:
        raise ConfigError(
            f"{pattern!r} is no regular expression: {error}", "a backslash before ()[]{}.*+?^$|"
        ) from None
    values = np.zeros(len(text))
    for match in found.finditer(text):
        values[match.start() : match.end()] = 1
    return values


def line_position(text: str) -> np.ndarray:
    """Characters of the line so far, 0 after a line break."""
    return since([char == "\n" for char in text])


def word_length(text: str) -> np.ndarray:
    """Letters and digits of the word so far, 0 between words."""
    return since([not char.isalnum() for char in text])


def capitals(text: str) -> np.ndarray:
    """Whether a character is a capital letter."""
    return np.array([char.isupper() for char in text], dtype=float)


def indentation(text: str) -> np.ndarray:
    """White space at the beginning of the line, as far as it has been read."""
    lines = re.split(r"(?<=\n)", text)
    widths = [len(line) - len(line.lstrip(" \t")) for line in lines]
    parts = [
        np.minimum(np.arange(1, len(line) + 1), width)
        for line, width in zip(lines, widths, strict=True)
    ]
    return np.concatenate([np.zeros(0), *parts])


def inside_quotes(text: str) -> np.ndarray:
    """Whether a quotation is open; each paragraph begins with none."""
    values, inside = np.zeros(len(text)), False
    for at, char in enumerate(text):
        if char in QUOTES:
            inside = QUOTES[char][0] if QUOTES[char] else not inside
        elif ends_paragraph(text, at):
            inside = False
        values[at] = inside
    return values


def inside_brackets(text: str) -> np.ndarray:
    """How many brackets are open; each paragraph begins with none."""
    values, depth = np.zeros(len(text)), 0
    for at, char in enumerate(text):
        if char in OPENING:
            depth += 1
        elif char in CLOSING:
            depth = max(depth - 1, 0)
        elif ends_paragraph(text, at):
            depth = 0
        values[at] = depth
    return values


FEATURES: dict[str, Callable[[str], np.ndarray]] = {
    "line-position": line_position,
    "quotes": inside_quotes,
    "brackets": inside_brackets,
    "indentation": indentation,
    "word-length": word_length,
    "capitals": capitals,
}
"""For each name, the function from a text to a number after each of its characters (C,)."""


def ends_paragraph(text: str, at: int) -> bool:
    """Whether an empty line ends at a character."""
    before = text[max(at - 2, 0) : at].removesuffix("\r")
    return text[at] == "\n" and before[-1:] in ("", "\n")


def since(resets: Sequence[bool]) -> np.ndarray:
    """How many characters have come since the last reset: resets (C,) -> (C,), 0 at each."""
    places = np.arange(len(resets))
    last = np.maximum.accumulate(np.where(np.array(resets, dtype=bool), places, -1))
    return (places - last).astype(float)
