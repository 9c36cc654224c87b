"""A recall source: a symbol has to be remembered over a gap of noise."""

import math
import string
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from charlm.config.section import Section, setting
from charlm.data.synthetic.base import LETTERS, Floats, Ints, generator_for, impossible, positions
from charlm.errors import ConfigError

__all__ = ["CUE", "RecallSource"]

CUE = "?"
"""What stands before the answer."""

TOGETHER = 1024
"""Blocks that are made at a time."""


@dataclass(frozen=True, kw_only=True)
class RecallSource(Section):
    """Blocks of a symbol, a gap of noise, a cue, and the symbol once more: ``Bxyyx?B``.

    The symbol is one of ``symbols`` capital letters, the gap ``shortest`` to ``longest`` small
    letters, each one of ``letters``; symbols, lengths and letters are uniformly distributed.  Who
    remembers the symbol knows the answer; who does not, guesses one in ``symbols``.
    """

    name: ClassVar[str] = "recall"

    symbols: int = setting(4, "Symbols that may have to be remembered.", minimum=2, maximum=26)
    shortest: int = setting(1, "Letters of the shortest gap.", minimum=1, maximum=100_000)
    longest: int = setting(100, "Letters of the longest gap.", minimum=1, maximum=100_000)
    letters: int = setting(4, "Letters that gaps are drawn from.", minimum=1, maximum=26)

    def check(self) -> None:
        """Refuse a shortest gap that is longer than the longest."""
        if self.shortest > self.longest:
            raise ConfigError(
                f"shortest may be at most longest, got {self.shortest} and {self.longest}",
                "change one of the two",
            )

    @property
    def entropy_rate(self) -> float:
        """Bits per character, for a model that remembers the symbol and counts the gap."""
        gap = (self.shortest + self.longest) / 2
        lengths = self.longest - self.shortest + 1
        block = math.log2(self.symbols) + math.log2(lengths) + gap * math.log2(self.letters)
        return block / (gap + 3)

    def generate(self, chars: int, seed: int) -> str:
        """A text of ``chars`` characters that begins with a block."""
        generator = generator_for(chars, seed)
        written, parts = 0, []
        while written < chars:
            parts.append(self.blocks(generator))
            written += len(parts[-1])
        return b"".join(parts)[:chars].decode("ascii")

    def blocks(self, generator: np.random.Generator) -> bytes:
        """The next ``TOGETHER`` blocks."""
        gaps = generator.integers(self.shortest, self.longest + 1, size=TOGETHER)
        symbols = generator.integers(0, self.symbols, size=TOGETHER, dtype=np.uint8) + ord("A")
        ends = np.cumsum(gaps + 3)
        noise = generator.integers(0, self.letters, size=int(ends[-1]), dtype=np.uint8)
        text = noise + np.uint8(ord("a"))
        text[ends - gaps - 3], text[ends - 2], text[ends - 1] = symbols, ord(CUE), symbols
        return text.tobytes()

    def surprisals(self, text: str) -> Floats:
        """Bits of each character of ``text`` given all before it: (n,).

        Raises ``CorpusError`` where this source cannot have written ``text``.
        """
        alphabet = LETTERS[: self.letters] + string.ascii_uppercase[: self.symbols] + CUE
        ids = positions(text, alphabet)
        cues = np.flatnonzero(ids == len(alphabet) - 1)
        starts = np.append(0, cues + 2)
        starts = starts[starts < len(ids)]
        place = np.arange(len(ids)) - starts.repeat(np.diff(np.append(starts, len(ids))))
        wrong = self.contradictions(ids, place, cues)
        if len(wrong):
            raise impossible(text[wrong.min()], int(wrong.min()))
        bits = math.log2(self.letters) - np.log2(self.continues(place))
        bits[cues] = -np.log2(1 - self.continues(place[cues]))
        bits[cues[cues + 1 < len(ids)] + 1] = 0.0
        bits[starts] = math.log2(self.symbols)
        return bits

    def contradictions(self, ids: Ints, place: Ints, cues: Ints) -> Ints:
        """Where characters (n,), at so many characters after the symbol of their block, cannot be.

        Ids are letters of the noise, then symbols, then the cue.
        """
        answers = cues[cues + 1 < len(ids)] + 1
        noise = place > 0
        noise[cues] = noise[answers] = False
        symbol = (ids >= self.letters) & (ids < self.letters + self.symbols)
        return np.concatenate(
            [
                np.flatnonzero((place == 0) & ~symbol),
                np.flatnonzero(noise & ((ids >= self.letters) | (place > self.longest))),
                cues[place[cues] <= self.shortest],
                answers[ids[answers] != ids[answers - place[answers]]],
            ]
        )

    def continues(self, place: Ints) -> Floats:
        """The probability that the character at ``place`` (n,) after a symbol is still noise."""
        left = np.maximum(self.longest - place + 1.0, 0)
        likely: Floats = np.where(place <= self.shortest, 1.0, left / (left + 1))
        return np.maximum(likely, np.finfo(float).tiny)
