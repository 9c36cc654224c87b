"""The rows of a table of scores: each text, all of it together, and the mean over texts."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from charlm.inference.scoring.bootstrap import Spread, resample, spread
from charlm.inference.scoring.conventions import Convention, figures
from charlm.inference.scoring.curve import Curve
from charlm.inference.scoring.scorer import Scored
from charlm.metrics import Score

__all__ = ["Row", "key_of", "macro", "micro", "summed"]

MEANS = ("perplexity", "perplexity_without_oov", "char_perplexity", "word_perplexity",
         "byte_perplexity", "bpc", "bpb")  # fmt: skip
"""The figures that a macro average has, beside those of a convention."""


@dataclass(frozen=True)
class Row:
    """What came out for a text: its score, and its perplexity in texts put together at random."""

    name: str
    score: Score
    unknown: Counter[str]
    curve: Curve
    perplexities: np.ndarray  # (times,), empty for less than two blocks

    @property
    def spread(self) -> Spread:
        """How uncertain the perplexity is."""
        return spread(self.perplexities)

    def record(self, convention: Convention) -> dict[str, Any]:
        """The figures under the keys that scripts rely on; nll and boundary_nll in nats."""
        counted = ("nll", "tokens", "chars", "bytes", "words", "oov", "boundaries", "boundary_nll")
        found, own = self.spread, figures(convention, self.score)
        return (
            {name: getattr(self.score, name) for name in (*counted, *MEANS)}
            | {"perplexity_se": found.se, "perplexity_interval": (found.low, found.high)}
            | {key_of(name): value for name, value in own.items()}
        )


def summed(
    name: str, parts: Iterable[Scored], seed: int, tell: Callable[[float], object] = bool
) -> Row:
    """Add up a score while it is made; ``tell`` hears how many bytes more were read.

    Rows of one table have different seeds.
    """
    score, unknown, curve = Score(), Counter[str](), Curve()
    for part in parts:
        score += part.score
        unknown += part.unknown
        curve += part.curve
        tell(part.read)
    return Row(name, score, unknown, curve, perplexities(score, seed))


def perplexities(score: Score, seed: int) -> np.ndarray:
    """The perplexity (times,) of texts put together from the blocks of a score."""
    with np.errstate(over="ignore"):
        found: np.ndarray = np.exp(resample(score.blocks, seed))
    return found


def micro(rows: Sequence[Row]) -> Row:
    """All texts as one."""
    parts = (Scored(row.score, row.unknown, curve=row.curve) for row in rows)
    return summed("all together (micro)", parts, seed=len(rows))


def macro(rows: Sequence[Row], convention: Convention) -> dict[str, Any]:
    """The means over texts of their figures, each text counting the same."""
    records = [row.record(convention) for row in rows]
    own = figures(convention, Score())
    names = (*MEANS, *(key_of(name) for name in own if not isinstance(own[name], int)))
    known = all(len(row.perplexities) for row in rows)
    mean = np.mean([row.perplexities for row in rows], axis=0) if known else np.empty(0)
    found = spread(mean)
    return {name: sum(record[name] for record in records) / len(rows) for name in names} | {
        "perplexity_se": found.se,
        "perplexity_interval": (found.low, found.high),
    }


def key_of(name: str) -> str:
    """The key of a figure that another tool prints under a name."""
    return name.lower().replace(" ", "_")
