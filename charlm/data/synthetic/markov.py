"""A Markov source: the next letter depends on the last few, and on nothing else."""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from charlm.config.section import Section, setting
from charlm.data.synthetic.base import LETTERS, Floats, Ints, generator_for, positions
from charlm.errors import ConfigError

__all__ = ["MarkovSource"]

RESOLUTION = 1024
"""Transition probabilities are multiples of 1 / RESOLUTION, so that a table samples a letter."""

STATES = 1 << 14
"""Largest number of contexts."""


@dataclass(frozen=True, kw_only=True)
class MarkovSource(Section):
    """The next of ``alphabet`` letters depends on the last ``order`` letters alone.

    Transitions are drawn with ``seed`` from a Dirichlet distribution; a small ``concentration``
    makes them uneven, so that there is something to learn.  No transition is impossible.
    """

    name: ClassVar[str] = "markov"

    order: int = setting(2, "Letters that the next one depends on.", minimum=1, maximum=14)
    alphabet: int = setting(8, "Number of letters.", minimum=2, maximum=len(LETTERS))
    concentration: float = setting(
        0.3, "How even transitions are; 1: all are as likely.", minimum=0.01, maximum=100
    )
    seed: int = setting(1, "Seed of the transitions.", minimum=0, maximum=2**31 - 1)

    def check(self) -> None:
        """Refuse more contexts than a table can hold."""
        if self.states > STATES:
            raise ConfigError(
                f"alphabet ** order may be at most {STATES:,}, got {self.states:,}",
                "choose a smaller alphabet or order",
            )

    @property
    def states(self) -> int:
        """How many contexts there are."""
        return int(self.alphabet**self.order)

    @cached_property
    def counts(self) -> Ints:
        """Probabilities of the next letter in parts of ``RESOLUTION``: (states, alphabet)."""
        generator = np.random.Generator(np.random.PCG64(self.seed))
        shares = generator.dirichlet([self.concentration] * self.alphabet, size=self.states)
        counts: Ints = 1 + np.floor(shares * (RESOLUTION - self.alphabet)).astype(np.int64)
        # What rounding down left over goes to the most likely letter.
        counts[np.arange(self.states), shares.argmax(1)] += RESOLUTION - counts.sum(1)
        return counts

    @cached_property
    def stationary(self) -> Floats:
        """How often each context occurs in the long run: (states,)."""
        transitions = self.counts / RESOLUTION
        now: Floats = np.full(self.states, 1 / self.states)
        for _ in range(100_000):
            # Shifting a context drops its oldest letter: the first axis is summed away.
            flow = (now[:, None] * transitions).reshape(self.alphabet, -1, self.alphabet)
            last, now = now, flow.sum(0).ravel() / flow.sum()
            if np.abs(now - last).sum() < 1e-14:
                break
        return now

    @cached_property
    def entropy_rate(self) -> float:
        """Bits per character: the entropy of the next letter, averaged over contexts."""
        transitions = self.counts / RESOLUTION
        return float(-self.stationary @ (transitions * np.log2(transitions)).sum(1))

    def generate(self, chars: int, seed: int) -> str:
        """A text of ``chars`` characters, the first from the stationary distribution."""
        generator = generator_for(chars, seed)
        first = int(generator.choice(self.states, p=self.stationary))
        written = self.digits(first)
        letters = np.tile(np.arange(self.alphabet, dtype=np.uint8), self.states)
        table = np.repeat(letters, self.counts.ravel()).tobytes()
        size, alphabet, state = len(table), self.alphabet, first * RESOLUTION
        while len(written) < chars:
            draws = generator.integers(0, RESOLUTION, size=1 << 16, dtype=np.uint16).tolist()
            for draw in draws:
                letter = table[state + draw]
                written.append(letter)
                state = (state * alphabet + letter * RESOLUTION) % size
        return written[:chars].translate(LETTERS.encode().ljust(256)).decode("ascii")

    def digits(self, state: int) -> bytearray:
        """The letters of a context, oldest first, as numbers."""
        powers = self.alphabet ** np.arange(self.order - 1, -1, -1)
        return bytearray((state // powers % self.alphabet).astype(np.uint8).tobytes())

    def surprisals(self, text: str) -> Floats:
        """Bits of each character of ``text`` given all before it: (n,).

        Raises ``CorpusError`` where this source cannot have written ``text``.
        """
        ids = positions(text, LETTERS[: self.alphabet])
        bits = np.empty(len(ids))
        head = min(self.order, len(ids))
        before, at = 1.0, 0
        for index in range(head):
            at = at * self.alphabet + int(ids[index])
            now = self.stationary.reshape(self.alphabet ** (index + 1), -1)[at].sum()
            bits[index] = np.log2(before / now)
            before = now
        state = np.zeros(len(ids) - head, dtype=np.int64)
        for back in range(self.order):
            state = state * self.alphabet + ids[back : back + len(state)]
        bits[head:] = np.log2(RESOLUTION / self.counts[state, ids[head:]])
        return bits
