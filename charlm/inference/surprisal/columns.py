"""Surprisals as columns of a table: names, units, and what stands beside them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charlm.errors import ConfigError
from charlm.inference.surprisal.pairs import Accuracy, PairScore
from charlm.inference.surprisal.text import Surprisal

__all__ = ["MEASURES", "Columns", "accuracy_record", "pair_record"]

MEASURES = {"bits": 1 / math.log(2), "nats": 1.0, "log10": 1 / math.log(10)}
"""Units of surprisal and entropy, as how many of them a nat is."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which columns a row of surprisals has.

    ``measure`` is bits, nats or log10, ``top`` the number of guesses.  ``sentences`` asks for the
    numbers of the sentence and of the unit in it, ``more`` for what mixed models of reading times
    need.  ``regions`` says that a row is one of a given table: its cells come back as they are.
    """

    measure: str = "bits"
    top: int = 0
    sentences: bool = False
    more: bool = False
    regions: bool = False

    def record(self, row: Surprisal) -> dict[str, Any]:
        """The columns of a row.  Raises ``ConfigError`` if a region's cells hide a measure."""
        scale, unit = MEASURES[self.measure], self.measure
        measured: dict[str, Any] = {
            f"surprisal_{unit}": row.nll * scale,
            "tokens": row.tokens,
            "oov": row.oov,
            f"entropy_{unit}": row.entropy * scale,
            f"entropy_reduction_{unit}": row.reduction * scale,
            "rank": row.rank,
        }
        if self.more:
            measured |= {
                "length": row.length,
                "position": row.position,
                f"previous_surprisal_{unit}": scaled(row.previous, scale),
                f"unigram_surprisal_{unit}": scaled(row.unigram, scale),
            }
        for number in range(self.top):
            guess = row.guesses[number] if number < len(row.guesses) else (None, None)
            measured |= dict(zip((f"guess_{number + 1}", f"p_{number + 1}"), guess, strict=True))
        if self.regions:
            return beside(row.cells, measured)
        numbers: dict[str, Any] = {"index": row.index, "document": row.document}
        if self.sentences:
            numbers |= {"sentence": row.sentence, "position": row.position}
        own = numbers | {"text": row.text} | measured
        cells = {f"table_{name}" if name in own else name: cell for name, cell in row.cells.items()}
        return numbers | cells | own


def scaled(nats: float | None, scale: float) -> float | None:
    """A figure in another unit; None stays None."""
    return None if nats is None else nats * scale


def beside(cells: Mapping[str, str], measured: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of a row with its measures behind them."""
    for name in measured:
        if name in cells:
            raise ConfigError(f"the table has a column {name!r} already", "rename or drop it")
    return {**cells, **measured}


def pair_record(score: PairScore) -> dict[str, Any]:
    """The columns of a pair; log-probabilities in nats."""
    return {
        "field": score.pair.field,
        "UID": score.pair.uid,
        "good": score.pair.good,
        "bad": score.pair.bad,
        "good_nats": score.good,
        "bad_nats": score.bad,
        "difference_nats": score.difference,
        "correct": int(score.correct),
        "oov": score.oov,
    }


def accuracy_record(found: Accuracy) -> dict[str, Any]:
    """The columns of a group of pairs: how often the good sentence was preferred."""
    names = ("group", "name", "pairs", "accuracy", "se", "ties", "unknown")
    return {name: getattr(found, name) for name in names}
