"""A nested source: brackets with filler between them, beyond the reach of any n-gram."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from charlm.config.section import Section, setting
from charlm.data.synthetic.base import LETTERS, Floats, Ints, generator_for, impossible, positions
from charlm.errors import ConfigError

__all__ = ["NestedSource"]

BRACKETS = ("()", "[]", "{}", "<>")


@dataclass(frozen=True, kw_only=True)
class NestedSource(Section):
    """Nested brackets with filler between them: what closes was opened far back.

    ``kinds`` of brackets are nested up to ``depth``.  Each is followed by ``gap`` filler letters,
    every one of them drawn from ``letters`` letters of its own, so that the place in the gap is
    known but a model that sees only ``gap`` characters knows nothing of the brackets before.
    """

    name: ClassVar[str] = "nested"

    kinds: int = setting(4, "Kinds of brackets.", minimum=1, maximum=len(BRACKETS))
    depth: int = setting(4, "Brackets that are open at most.", minimum=1, maximum=1000)
    gap: int = setting(8, "Letters after each bracket.", minimum=1, maximum=len(LETTERS))
    letters: int = setting(1, "Letters that each place of a gap is drawn from.", minimum=1)

    def check(self) -> None:
        """Refuse more letters than there are."""
        if self.gap * self.letters > len(LETTERS):
            raise ConfigError(
                f"gap * letters may be at most {len(LETTERS)}, got {self.gap * self.letters}",
                "choose a smaller gap or fewer letters",
            )

    @property
    def opening(self) -> Floats:
        """Probability that a bracket opens, by the number that are open: (depth + 1,)."""
        probabilities = np.full(self.depth + 1, 0.5)
        probabilities[0], probabilities[-1] = 1.0, 0.0
        return probabilities

    @property
    def stationary(self) -> Floats:
        """How often each number of open brackets occurs in the long run: (depth + 1,)."""
        up = self.opening
        # In the long run each step up is taken as often as the step back down.
        weights = np.cumprod(np.concatenate([[1.0], up[:-1] / (1 - up[1:])]))
        return np.asarray(weights / weights.sum())

    @property
    def entropy_rate(self) -> float:
        """Bits per character, for a model that remembers every open bracket."""
        bracket = [coin_bits(up) + up * math.log2(self.kinds) for up in self.opening.tolist()]
        filler = self.gap * math.log2(self.letters)
        return float(self.stationary @ bracket + filler) / (self.gap + 1)

    def generate(self, chars: int, seed: int) -> str:
        """A text of ``chars`` characters that begins with no bracket open."""
        generator = generator_for(chars, seed)
        rows = -(-chars // (self.gap + 1))
        kinds = generator.integers(0, self.kinds, size=rows, dtype=np.uint8).tolist()
        rises = generator.integers(0, 2, size=rows, dtype=np.uint8).tolist()
        signs = bytearray()
        opened: list[int] = []
        for kind, rise in zip(kinds, rises, strict=True):
            if not opened or (rise and len(opened) < self.depth):
                opened.append(kind)
                signs.append(ord(BRACKETS[kind][0]))
            else:
                signs.append(ord(BRACKETS[opened.pop()][1]))
        filler = generator.integers(0, self.letters, size=(rows, self.gap), dtype=np.uint8)
        filler += np.arange(0, self.gap * self.letters, self.letters, dtype=np.uint8)
        letters = np.frombuffer(LETTERS.encode(), np.uint8)
        text = np.column_stack([np.frombuffer(signs, np.uint8), letters[filler]])
        return text.tobytes()[:chars].decode("ascii")

    def surprisals(self, text: str) -> Floats:
        """Bits of each character of ``text`` given all before it: (n,).

        Raises ``CorpusError`` where this source cannot have written ``text``.
        """
        period = self.gap + 1
        signs = "".join(BRACKETS[: self.kinds])
        ids = positions(text, LETTERS[: self.gap * self.letters] + signs)
        place = np.arange(len(ids)) % period
        wrong = np.flatnonzero((place > 0) & (ids // self.letters != place - 1))
        bits = np.full(len(ids), math.log2(self.letters))
        bits[::period] = self.bracket_bits(ids[::period] - self.gap * self.letters)
        wrong = np.concatenate([wrong, np.flatnonzero(np.isinf(bits))])
        if len(wrong):
            at = int(wrong.min())
            raise impossible(text[at], at)
        return bits

    def bracket_bits(self, ids: Ints) -> Floats:
        """Bits of each bracket, infinite from the first that cannot stand where it stands."""
        bits = np.full(len(ids), math.inf)
        opening = self.opening.tolist()
        opened: list[int] = []
        for index, bracket in enumerate(ids.tolist()):
            kind, closes = divmod(bracket, 2)
            up = opening[len(opened)]
            probability = 1 - up if closes else up / self.kinds
            if bracket < 0 or probability == 0 or (closes and opened.pop() != kind):
                break
            if not closes:
                opened.append(kind)
            bits[index] = -math.log2(probability)
        return bits


def coin_bits(probability: float) -> float:
    """Entropy in bits of an event of this probability."""
    return -sum(p * math.log2(p) for p in (probability, 1 - probability) if p > 0)
