"""A recall source: a symbol has to be remembered over a gap of noise."""

import math
import string
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from charlm.data.synthetic.base import LONGEST, Floats, Ints, check, impossible
from charlm.errors import ConfigError

__all__ = ["CUE", "RecallSource"]

CUE = "?"
"""What stands before the answer."""

TOGETHER = 1024
"""Blocks that are made at a time."""


@dataclass(frozen=True, kw_only=True)
class RecallSource:
    """Blocks of a symbol, a gap of noise, a cue, and the symbol once more: ``Bxyyx?B``.

    The symbol is one of ``symbols`` capital letters, the gap ``shortest`` to ``longest`` small
    letters, each one of ``letters``; symbols, lengths and letters are uniformly distributed.  Who
    remembers the symbol knows the answer; who does not, guesses one in ``symbols``.
    """

    kind: ClassVar[str] = "recall"

    symbols: int = 4
    shortest: int = 1
    longest: int = 100
    letters: int = 4

    def __post_init__(self) -> None:
        check("symbols", self.symbols, 2, 26)
        check("shortest", self.shortest, 1, 100_000)
        check("longest", self.longest, 1, 100_000)
        check("letters", self.letters, 1, 26)
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
        check("chars", chars, 1, LONGEST)
        generator = np.random.Generator(np.random.PCG64(seed))
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
        noise = set(string.ascii_lowercase[: self.letters])
        symbols = string.ascii_uppercase[: self.symbols]
        bits = np.full(len(text), math.log2(self.letters))
        at = 0
        while at < len(text):
            end = text.find(CUE, at)
            end = len(text) if end < 0 else end
            gap = end - at - 1
            place = np.arange(1, gap + 1)  # of each letter in the gap
            self.check_block(text, at, end, symbols, noise)
            bits[at] = math.log2(self.symbols)
            bits[at + 1 : end] -= np.log2(self.going_on(place))
            if end < len(text):
                bits[end] = -math.log2(1 - float(self.going_on(np.array([gap + 1]))[0]))
            bits[end + 1 : end + 2] = 0.0
            at = end + 2
        return bits

    def going_on(self, place: Ints) -> Floats:
        """The probability that letter ``place`` (n,) of a gap, from 1, comes after those before."""
        left = np.maximum(self.longest - place + 1, 0)
        likely: Floats = np.where(place <= self.shortest, 1.0, left / (left + 1))
        return likely

    def check_block(self, text: str, at: int, end: int, symbols: str, noise: set[str]) -> None:
        """Raise ``CorpusError`` unless the block from ``at``, whose cue is at ``end``, can be."""
        gap = text[at + 1 : end]
        if text[at] not in symbols:
            raise impossible(text[at], at)
        wrong = next((place for place, char in enumerate(gap) if char not in noise), None)
        if wrong is None and len(gap) > self.longest:
            wrong = self.longest
        if wrong is not None:
            raise impossible(gap[wrong], at + 1 + wrong)
        if end < len(text) and len(gap) < self.shortest:
            raise impossible(CUE, end)
        if end + 1 < len(text) and text[end + 1] != text[at]:
            raise impossible(text[end + 1], end + 1)
