"""How well a text was predicted: sums that add up, and the figures that follow from them.

Sums are in nats (natural logarithms); figures in other units have the unit in their name.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from charlm.errors import counted

__all__ = ["Blocks", "Score", "exponential"]

MOST_BLOCKS = 4096
"""Blocks kept: enough for a standard error, and memory that does not grow with the text."""


@dataclass(frozen=True)
class Blocks:
    """Stretches of neighbouring text, over which a standard error is estimated.

    ``nll`` (nats), ``tokens`` and ``units`` of each block, in the order of the text.  Blocks add:
    the second ones follow the first.  Where there are more than ``MOST_BLOCKS``, neighbours are
    joined, so that a block holds up to ``size`` units.
    """

    nll: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    units: tuple[int, ...] = ()
    size: int = 1

    @classmethod
    def of(cls, nll: Sequence[float], tokens: Sequence[int]) -> "Blocks":
        """Blocks of one unit each, from their nll in nats and their tokens (1 or more each)."""
        return cls() + cls(tuple(nll), tuple(tokens), (1,) * len(tokens))

    def __len__(self) -> int:
        return len(self.tokens)

    def __add__(self, other: "Blocks") -> "Blocks":
        size = max(self.size, other.size)
        both = Blocks(
            self.nll + other.nll, self.tokens + other.tokens, self.units + other.units, size
        )
        # Only the last of the blocks that are here may hold fewer units than ``size``.
        begin = max(len(self) - 1, 0) if size == self.size else 0
        both = both.joined(size, begin) if size > 1 else both
        while len(both) > MOST_BLOCKS:
            size *= 2
            both = both.joined(size)
        return both

    def joined(self, size: int, begin: int = 0) -> "Blocks":
        """Join neighbours, from block ``begin`` on, that hold ``size`` units at most."""
        nll, tokens, units = list(self.nll), list(self.tokens), list(self.units)
        last = begin
        for index in range(begin + 1, len(self)):
            if units[last] + units[index] <= size:
                nll[last] += nll[index]
                tokens[last] += tokens[index]
                units[last] += units[index]
            else:
                last += 1
                nll[last], tokens[last], units[last] = nll[index], tokens[index], units[index]
        kept = slice(last + 1)
        return Blocks(tuple(nll[kept]), tuple(tokens[kept]), tuple(units[kept]), size)


@dataclass(frozen=True, kw_only=True, repr=False)
class Score:
    """Summed negative log-likelihood of a text, and what it is counted in.  Scores add.

    ``nll`` is in nats and covers the ``tokens`` tokens of the text; ``chars``, ``bytes`` (UTF-8,
    of the original text) and ``words`` (runs of non-space) are counted on the text, never on
    tokens.  ``oov`` tokens were scored as the unknown symbol and hold ``oov_nll`` of ``nll``.
    ``boundaries`` ends of documents hold ``boundary_nll``, which is in no other figure.

    ``blocks`` hold the same nll and tokens by stretches of text, for standard errors: single
    tokens would give too small ones, because neighbouring tokens are not independent.
    """

    nll: float = 0.0
    tokens: int = 0
    chars: int = 0
    bytes: int = 0
    words: int = 0
    oov: int = 0
    oov_nll: float = 0.0
    boundaries: int = 0
    boundary_nll: float = 0.0
    blocks: Blocks = Blocks()

    def __add__(self, other: "Score") -> "Score":
        return Score(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Score)}
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.bpc:.4f} bpc, perplexity {self.perplexity:,.3f} per "
            f"token, {counted(self.tokens, 'token')})"
        )

    @property
    def mean_nll(self) -> float:
        """Nats per token; NaN for no tokens."""
        return ratio(self.nll, self.tokens)

    @property
    def perplexity(self) -> float:
        """exp(nll / tokens): per token, so only comparable for the same tokenizer."""
        return exponential(self.mean_nll)

    @property
    def perplexity_without_oov(self) -> float:
        """Perplexity over the tokens that the vocabulary knows, each given all its context."""
        return exponential(ratio(self.nll - self.oov_nll, self.tokens - self.oov))

    @property
    def char_perplexity(self) -> float:
        """exp(nll / chars)."""
        return exponential(ratio(self.nll, self.chars))

    @property
    def word_perplexity(self) -> float:
        """exp(nll / words)."""
        return exponential(ratio(self.nll, self.words))

    @property
    def byte_perplexity(self) -> float:
        """exp(nll / bytes)."""
        return exponential(ratio(self.nll, self.bytes))

    @property
    def bpc(self) -> float:
        """Bits per character of the text."""
        return ratio(self.nll, self.chars) / math.log(2)

    @property
    def bpb(self) -> float:
        """Bits per byte of the text in UTF-8: comparable across tokenizers and with compressors."""
        return ratio(self.nll, self.bytes) / math.log(2)


def ratio(numerator: float, denominator: float) -> float:
    """``numerator / denominator``, NaN for an empty denominator."""
    return numerator / denominator if denominator > 0 else math.nan


def exponential(nats: float) -> float:
    """exp that overflows to infinity instead of raising."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf
