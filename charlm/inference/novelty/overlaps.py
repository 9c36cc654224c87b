"""What a text has in common with a training text: its longest copied span, its new n-grams."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from charlm.data.suffixes.index import SuffixIndex

__all__ = ["LENGTHS", "Overlap", "measure_overlap", "sum_overlaps"]

LENGTHS = range(4, 51)
"""Lengths in characters of the n-grams that are counted."""

COMPARED = 64
"""Characters that are compared from each position on; longer spans are found through them."""


@dataclass(frozen=True)
class Overlap:
    """A text of ``chars`` characters, and the longest span of it that stands in the training text.

    Of its n-grams of each length in ``LENGTHS``, ``new`` (47,) of ``total`` (47,) do not stand
    there.
    """

    chars: int
    longest: str
    new: np.ndarray = field(repr=False)
    total: np.ndarray = field(repr=False)

    def share(self, n: int) -> float:
        """The share of n-grams of ``n`` characters that are new; NaN where there are none."""
        place = LENGTHS.index(n)
        return float(self.new[place] / self.total[place]) if self.total[place] else float("nan")


def measure_overlap(training_text: SuffixIndex, text: str) -> Overlap:
    """Compare a text with the training text."""
    count = len(text)
    lengths = np.array(
        [training_text.prefix_length(text[start : start + COMPARED]) for start in range(count)]
    )
    sizes = np.array(LENGTHS)
    total = np.maximum(count - sizes + 1, 0)
    # A span that begins in the last n - 1 characters is shorter than n, and no n-gram.
    shorter = (lengths[None, :] < sizes[:, None]).sum(axis=1)
    new = np.where(total > 0, shorter - (sizes - 1), 0)
    start, size = longest_span(training_text, text, lengths)
    return Overlap(count, text[start : start + size], new, total)


def longest_span(training_text: SuffixIndex, text: str, lengths: np.ndarray) -> tuple[int, int]:
    """Where the longest copied span begins, and its length; ``lengths`` (N,) are those of the
    spans that begin at each position, ``COMPARED`` at most.
    """
    if not len(lengths):
        return 0, 0
    start = int(lengths.argmax())
    size = int(lengths[start])
    if size < COMPARED:
        return start, size
    for first, last in runs_of(lengths == COMPARED):
        # All of a longer span but its last characters lies in one run.
        for begin in range(first, last):
            whole = text[begin : last - 1 + COMPARED]
            if len(whole) <= size:
                break
            if whole[: size + 1] in training_text:
                start, size = begin, training_text.prefix_length(whole)
    return start, size


def runs_of(flags: np.ndarray) -> list[tuple[int, int]]:
    """Where each run of True (N,) begins, and the position after its end."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def sum_overlaps(overlaps: Sequence[Overlap]) -> Overlap:
    """All texts as one: the longest of their spans, and the sums of their counts."""
    return Overlap(
        sum(each.chars for each in overlaps),
        max((each.longest for each in overlaps), key=len),
        np.sum([each.new for each in overlaps], axis=0),
        np.sum([each.total for each in overlaps], axis=0),
    )
