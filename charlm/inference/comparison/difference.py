"""Which of two models predicts a text better, by how much, and how certain that is."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from charlm.errors import ConfigError, CorpusError, ModelError
from charlm.inference.comparison.pairing import Pairing, pair_part, pair_texts
from charlm.inference.comparison.units import PairedUnit, PairedUnits
from charlm.inference.loading import Loaded
from charlm.inference.scoring.curve import blocks_of
from charlm.inference.scoring.perplexity import ScoringProgress
from charlm.inference.scoring.uncertainty import Estimate, estimate_ratio, join_blocks
from charlm.metrics import Blocks, Score
from charlm.notebook import html_table

__all__ = ["Comparison", "compare_pairing", "compare_runs"]

BLOCK = {"token": 256, "line": 1024}
"""Size of a block of the standard error: in tokens, or in bytes of whole lines."""

BITS = 1 / math.log(2)
"""Bits of a nat."""

MEASURED = ("nll", "tokens", "oov", "oov_nll", "bpb", "bpc")
"""The figures of one model in a record; those of nll are in nats."""

NO_BLOCKS = Blocks()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The scores of two models A and B on one text, and A - B: negative where A predicts better.

    ``difference`` is in nats per byte, ``known`` the difference over the units (tokens or lines)
    that hold no unknown token for either; ``with_unknown`` units do.  ``better`` counts the units
    that A, and that B, gave more probability.  The standard error is over ``blocks`` blocks of
    ``block`` tokens, or bytes of whole lines.  ``examples`` are units where they differ most.
    """

    a: Loaded
    b: Loaded
    names: tuple[str, ...]
    unit: str
    scores: tuple[Score, Score]
    difference: Estimate
    units: int
    better: tuple[int, int]
    with_unknown: int
    known: Estimate
    blocks: int
    block: int
    examples: tuple[PairedUnit, ...]

    def __repr__(self) -> str:
        found = self.bpb
        interval = f"95 % interval {found.low:+.4f} to {found.high:+.4f}"
        if math.isnan(found.low):
            interval = "too little text for an interval"
        return (
            f"Comparison(A - B = {found.value:+.4f} bits per byte, {interval}, "
            f"better: {self.verdict or 'not shown'})"
        )

    def _repr_html_(self) -> str:
        """Both models and their difference as a table for notebooks."""
        sides = [
            (letter, side.name, score.bpb, score.bpc)
            for letter, side, score in zip("AB", (self.a, self.b), self.scores, strict=True)
        ]
        found = self.bpb
        interval = f"95 % interval {found.low:+.4f} to {found.high:+.4f} bpb"
        note = "too little text for an interval" if math.isnan(found.low) else interval
        rows = [*sides, ("A - B", note, found.value, self.bpc.value)]
        title = f"better: {self.verdict or 'not shown'}"
        return html_table(title, rows, ("", "model", "bpb", "bpc"))

    @property
    def bpb(self) -> Estimate:
        """The difference in bits per byte."""
        return self.difference.scaled(BITS)

    @property
    def bpc(self) -> Estimate:
        """The difference in bits per character."""
        score = self.scores[0]
        return self.difference.scaled(BITS * score.bytes / max(score.chars, 1))

    @property
    def verdict(self) -> str | None:
        """``A`` or ``B``, whichever is shown to predict better; None if the interval holds zero
        or there is none.
        """
        if self.difference.high < 0:
            return "A"
        return "B" if self.difference.low > 0 else None

    def record(self) -> dict[str, Any]:
        """The figures for scripts: differences are A - B, in bits; an interval may be NaN."""
        score = self.scores[0]
        return {
            "unit": self.unit,
            "units": self.units,
            "chars": score.chars,
            "bytes": score.bytes,
            "words": score.words,
            "a": side_record(self.a, self.scores[0]),
            "b": side_record(self.b, self.scores[1]),
            **estimate_record("bpb", self.bpb),
            **estimate_record("bpc", self.bpc),
            "a_better": self.better[0],
            "b_better": self.better[1],
            "units_with_unknown": self.with_unknown,
            **estimate_record("bpb_without_unknown", self.known.scaled(BITS)),
            "blocks": self.blocks,
            "block_size": self.block,
            "most": [example_record(example) for example in self.examples],
        }


def side_record(loaded: Loaded, score: Score) -> dict[str, Any]:
    """The figures of one model by itself."""
    return {
        "run": str(loaded.run.folder),
        "step": loaded.step,
        "tokenizer": loaded.tokenizer.kind,
        "mode": loaded.model.mode,
        **{name: getattr(score, name) for name in MEASURED},
    }


def estimate_record(name: str, estimate: Estimate) -> dict[str, float]:
    """A difference and its interval under keys that begin with ``name``."""
    return {
        f"{name}_difference": estimate.value,
        f"{name}_low": estimate.low,
        f"{name}_high": estimate.high,
    }


def example_record(example: PairedUnit) -> dict[str, Any]:
    """One unit where the models differ, in bits."""
    return {
        "index": example.index,
        "a_bits": example.nll_a * BITS,
        "b_bits": example.nll_b * BITS,
        "before": example.before,
        "text": example.text,
        "after": example.after,
    }


def compare_runs(
    a: Loaded,
    b: Loaded,
    text: str | Path | Sequence[str | Path] | None = None,
    *,
    part: str | None = None,
    most: int = 10,
    by_name: bool = False,
    **data: Any,
) -> Iterator[ScoringProgress | Comparison]:
    """Compare two models on a text, or on a part of the text that both runs were made from.

    A str is a text and a Path names a file, folder or corpus; with ``by_name`` every str is such a
    name too.  ``most`` units are kept where A is better by most, and as many where B is.  The last
    record is the comparison.  Raises ``ConfigError`` for both or neither of text and part,
    ``CorpusError``, ``TokenizerError``, and ``ModelError`` where the difference is infinite.
    """
    if part is not None and text:
        raise ConfigError("a text and a `part` cannot both be compared on", "leave one of them out")
    if part is not None:
        pairing = pair_part(a, b, part, most)
    else:
        pairing = pair_texts(a, b, text, most, by_name=by_name, **data)
    yield from compare_pairing(a, b, pairing, most)


def compare_pairing(
    a: Loaded, b: Loaded, pairing: Pairing, most: int
) -> Iterator[ScoringProgress | Comparison]:
    """Compare while both models read; the last record is the comparison.

    Raises ``CorpusError`` if there was no text, ``ModelError`` where the difference is infinite.
    """
    sums, name = PairedSums(), ", ".join(pairing.names)
    for part in pairing.parts:
        sums = sums.add(part, pairing.unit, most)
        yield ScoringProgress(name, part.read, pairing.size)
    if not sums.units:
        raise CorpusError("there is no text to compare the models on", "name a file that has some")
    counts = pairing.counts()
    of_text: Any = {"chars": counts.chars, "bytes": counts.bytes, "words": counts.words}
    joined, times = join_blocks(sums.differences)
    scale = float(joined[1].sum()) / counts.bytes
    known, _ = join_blocks(sums.known)
    yield Comparison(
        a=a,
        b=b,
        names=pairing.names,
        unit=pairing.unit,
        scores=(replace(sums.scores[0], **of_text), replace(sums.scores[1], **of_text)),
        difference=estimate_ratio(*joined).scaled(scale),
        units=sums.units,
        better=sums.better,
        with_unknown=sums.unknown,
        known=estimate_ratio(*known).scaled(scale),
        blocks=joined.shape[1],
        block=BLOCK[pairing.unit] * sums.differences.size << times,
        examples=sums.examples,
    )


@dataclass(frozen=True)
class PairedSums:
    """What has been added up of two models on one text.

    ``differences`` are blocks of A - B in nats (as their nll) and of bytes (as their tokens), up to
    a common factor; ``known`` leaves out units with unknown tokens.
    """

    scores: tuple[Score, Score] = (Score(), Score())
    differences: Blocks = NO_BLOCKS
    known: Blocks = NO_BLOCKS
    units: int = 0
    better: tuple[int, int] = (0, 0)
    unknown: int = 0
    examples: tuple[PairedUnit, ...] = ()

    def add(self, part: PairedUnits, unit: str, most: int) -> "PairedSums":
        """Add some more units.  Raises ``ModelError`` if one has probability zero."""
        require_finite(part, unit, self.units)
        difference, known = part.nll[0] - part.nll[1], ~part.unknown
        labels = (np.cumsum(part.lengths) - part.lengths) // BLOCK[unit]
        of_all = blocks_of(difference, labels, part.sizes)
        of_known = blocks_of(difference[known], labels[known], part.sizes[known])
        a_better, b_better = (difference < 0).sum(), (difference > 0).sum()
        return PairedSums(
            scores=(self.scores[0] + part.scores[0], self.scores[1] + part.scores[1]),
            differences=self.differences + of_all,
            known=self.known + of_known,
            units=self.units + len(difference),
            better=(self.better[0] + int(a_better), self.better[1] + int(b_better)),
            unknown=self.unknown + int(part.unknown.sum()),
            examples=keep(self.examples + part.examples, most),
        )


def require_finite(part: PairedUnits, unit: str, before: int) -> None:
    """Raise ``ModelError`` if a model gives no probability to a unit, ``before`` having passed."""
    impossible = np.argwhere(~np.isfinite(part.nll))
    if len(impossible):
        side, at = impossible[0].tolist()
        raise ModelError(
            f"{unit} {before + at + 1:,} of the text has probability zero for {'AB'[side]}",
            "use a model that knows every symbol, or take it out of the text",
        )


def keep(examples: Iterable[PairedUnit], most: int) -> tuple[PairedUnit, ...]:
    """The ``most`` units where A is better, best first, then those where B is."""
    ordered = sorted(examples, key=lambda each: (-abs(each.difference), each.index))
    for_a = [each for each in ordered if each.difference < 0][:most]
    return (*for_a, *[each for each in ordered if each.difference > 0][:most])
