"""Tokens put together to characters, words, lines and regions of interest.

Every token goes into one unit, or its two parts into two neighbours, so the surprisals of the units
sum to that of the tokens.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from charlm.inference.surprisal.measures import Measures, Prediction, ends_with_space, leading_space

__all__ = [
    "Unit",
    "by_char",
    "by_line",
    "by_listed_word",
    "by_region",
    "by_word",
    "each_token",
]


@dataclass
class Unit:
    """A unit that is being put together: its bytes, surprisal in nats, and the ids of its tokens.

    ``first`` measures what was expected where it begins.  ``held`` measures a token of white space
    among those that begin with it: if a word follows, that surprisal belongs to the next unit.
    """

    content: bytearray = field(default_factory=bytearray)
    nll: float = 0.0
    tokens: list[int] = field(default_factory=list)
    first: Measures | None = None
    held: Measures | None = None

    def add(self, token: Prediction) -> None:
        """Add a whole token."""
        self.close()
        self.content += token.content
        self.tokens.append(token.token)
        self.first = self.first or token.whole
        if token.rest and not leading_space(token.content)[1]:
            self.nll += token.space_nll
            self.held = token.rest
        else:
            self.nll += token.whole.nll

    def end(self, token: Prediction) -> "Unit":
        """Take the white space of the token that comes next; the new unit begins with its rest."""
        space, rest = leading_space(token.content)
        part = token.whole
        following = Unit(content=bytearray(rest), tokens=[token.token])
        if token.rest:
            self.close()
            self.content += space
            self.nll += token.space_nll
            part = token.rest
        elif self.held:
            following.nll, following.first, self.held = self.held.nll, self.held, None
        following.nll += part.nll
        following.first = following.first or part
        return following

    def close(self) -> None:
        """Count what is held as this unit's own: no word follows."""
        if self.held:
            self.nll += self.held.nll
            self.held = None


def each_token(tokens: Iterable[Prediction]) -> Iterator[Unit]:
    """Every token as a unit of its own."""
    for token in tokens:
        unit = Unit()
        unit.add(token)
        yield unit


def by_char(tokens: Iterable[Prediction]) -> Iterator[Unit]:
    """Characters, of the tokens of a char or byte tokenizer."""
    unit = Unit()
    for token in tokens:
        if unit.tokens and not continues(token):
            yield unit
            unit = Unit()
        unit.add(token)
    if unit.tokens:
        yield unit


def by_line(tokens: Iterable[Prediction], between: bytes = b"") -> Iterator[Unit]:
    """Tokens up to one that holds a line break, which belongs to the line that it ends.

    The bytes ``between`` are put between two tokens of which neither is a line break.
    """
    unit = Unit()
    for token in tokens:
        if unit.tokens and b"\n" not in token.content:
            unit.content += between
        unit.add(token)
        if b"\n" in token.content:
            yield unit
            unit = Unit()
    if unit.tokens:
        yield unit


def by_word(tokens: Iterable[Prediction]) -> Iterator[Unit]:
    """Words with the white space that ends them; that before the first one belongs to it."""
    unit, worded, ended = Unit(), False, False
    for first, *others in whole_characters(tokens):
        content = first.content
        if others:
            content += b"".join(token.content for token in others)
        space, word = leading_space(content)
        if word and worded and (space or ended):
            following = unit.end(first)
            yield unit
            unit = following
        else:
            unit.add(first)
        for token in others:
            unit.add(token)
        worded = worded or bool(word)
        if content:
            ended = worded and ends_with_space(content)
    if unit.tokens:
        unit.close()
        yield unit


def whole_characters(tokens: Iterable[Prediction]) -> Iterator[list[Prediction]]:
    """Tokens by themselves; those that are bytes of one character together."""
    group: list[Prediction] = []
    for token in tokens:
        if group and not (group[0].content[:1] >= b"\xc0" and continues(token)):
            yield group
            group = []
        group.append(token)
    if group:
        yield group


def continues(token: Prediction) -> bool:
    """Whether a token is a byte of UTF-8 that goes on with the character before it."""
    return len(token.content) == 1 and token.content[0] & 0xC0 == 0x80


def by_listed_word(tokens: Iterable[Prediction]) -> Iterator[Unit]:
    """The tokens of a word tokenizer; an end of line belongs to the word before it."""
    unit, worded = Unit(), False
    for token in tokens:
        word = bool(token.content.strip())
        if word and worded:
            yield unit
            unit = Unit()
        unit.add(token)
        worded = worded or word
    if unit.tokens:
        yield unit


def by_region(
    tokens: Iterable[Prediction], spans: np.ndarray, ends: Iterable[int]
) -> Iterator[Unit]:
    """Regions that end at ``ends``; tokens that lie at ``spans`` (N, 2).

    Each region has a token that begins in it or is split at its beginning; where an end lies
    within a token, only white space is before it.
    """
    unit, borders = Unit(), iter(ends)
    border = next(borders)
    for token, (start, end) in zip(tokens, spans.tolist(), strict=True):
        if start >= border or end > border:
            following = unit.end(token)
            yield unit
            unit, border = following, next(borders)
        else:
            unit.add(token)
    unit.close()
    yield unit
