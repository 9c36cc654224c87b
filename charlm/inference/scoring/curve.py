"""How much context helps: the mean nll of tokens by how many came before them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from charlm.inference.scoring.bootstrap import resample, spread
from charlm.metrics import Blocks

__all__ = ["Bin", "Curve", "blocks_of", "curve_of"]


@dataclass(frozen=True)
class Bin:
    """Tokens that stood from ``first`` to ``last`` after the start: how many, nats of each."""

    first: int
    last: int
    tokens: int
    nll: float
    nll_se: float


@dataclass(frozen=True)
class Curve:
    """Blocks of the tokens at 1, at 2, from 3 to 4, from 5 to 8, ... after the start.  Adds."""

    bins: tuple[Blocks, ...] = ()

    def __add__(self, other: "Curve") -> "Curve":
        pairs = zip_longest(self.bins, other.bins, fillvalue=Blocks())
        return Curve(tuple(own + more for own, more in pairs))

    def rows(self) -> Iterator[Bin]:
        """The bins that hold tokens, in order."""
        for exponent, blocks in enumerate(self.bins):
            if blocks:
                first = (1 << exponent - 1) + 1 if exponent else 1
                nll, tokens = sum(blocks.nll), sum(blocks.tokens)
                se = spread(resample(blocks)).se
                yield Bin(first, 1 << exponent, tokens, nll / tokens, se)


def curve_of(nll: np.ndarray, positions: np.ndarray, labels: np.ndarray) -> Curve:
    """The curve of nll (N,) at positions (N,) from 1 on, in the blocks that labels (N,) number."""
    exponents = np.frexp(positions - 1)[1]  # bits of position - 1, so that 3 and 4 go together
    bins = []
    for exponent in range(int(exponents.max(initial=-1)) + 1):
        here = exponents == exponent
        bins.append(blocks_of(nll[here], labels[here]))
    return Curve(tuple(bins))


def blocks_of(nll: np.ndarray, labels: np.ndarray) -> Blocks:
    """The blocks that labels (N,) number, of nll (N,)."""
    tokens = np.bincount(labels)
    nats = np.bincount(labels, weights=nll)
    return Blocks.of(nats[tokens > 0].tolist(), tokens[tokens > 0].tolist())
