"""How much context helps: the mean nll of tokens by how many tokens came before them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from charlm.inference.scoring.uncertainty import estimate_nll
from charlm.metrics import Blocks

__all__ = ["Bin", "Curve", "blocks_of", "curve_of"]


@dataclass(frozen=True)
class Bin:
    """Tokens at the positions ``first`` to ``last`` of their streams, counted from 1.

    ``nll`` is their mean in nats per token, ``nll_se`` its standard error.
    """

    first: int
    last: int
    tokens: int
    nll: float
    nll_se: float


@dataclass(frozen=True)
class Curve:
    """Blocks of the tokens at position 1, at 2, at 3 to 4, at 5 to 8, ...  Curves add."""

    bins: tuple[Blocks, ...] = ()

    def __add__(self, other: "Curve") -> "Curve":
        pairs = zip_longest(self.bins, other.bins, fillvalue=Blocks())
        return Curve(tuple(own + more for own, more in pairs))

    def rows(self) -> Iterator[Bin]:
        """The bins that hold tokens, in order."""
        for exponent, blocks in enumerate(self.bins):
            if blocks:
                first = (1 << exponent - 1) + 1 if exponent else 1
                found = estimate_nll(blocks)
                yield Bin(first, 1 << exponent, sum(blocks.tokens), found.value, found.se)


def curve_of(nll: np.ndarray, positions: np.ndarray, labels: np.ndarray) -> Curve:
    """The curve of nll (N,) at positions (N,) from 1 on, in the blocks that labels (N,) number."""
    exponents = np.frexp(positions - 1)[1]  # bits of position - 1, so that 3 and 4 go together
    bins = []
    for exponent in range(int(exponents.max(initial=-1)) + 1):
        here = exponents == exponent
        bins.append(blocks_of(nll[here], labels[here]))
    return Curve(tuple(bins))


def blocks_of(nll: np.ndarray, labels: np.ndarray, tokens: np.ndarray | None = None) -> Blocks:
    """The blocks that labels (N,) number, of nll (N,) and of ``tokens`` (N,), one each if None."""
    counts = np.bincount(labels, weights=tokens)
    nats = np.bincount(labels, weights=nll)
    held = counts > 0
    return Blocks.of(nats[held].tolist(), counts[held].astype(np.int64).tolist())
