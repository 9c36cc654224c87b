"""A text that changes at its end, read anew only where it has changed."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from charlm.inference.predictors.decoder import Decoder

__all__ = ["IncrementalReader"]

STRIDE = 64
"""Tokens between two states that are kept while a long text is read."""

MOST = 64
"""States that are kept: all of the last ones, and fewer the earlier they are in the text."""


class IncrementalReader:
    """Gives a decoder after any tokens, going on from the longest beginning it has read before.

    Its numbers are those of a decoder that reads all tokens, up to rounding.
    """

    def __init__(self, begin: Decoder) -> None:
        """``begin`` is a decoder with one lane that has read nothing."""
        self.ids = np.zeros(0, dtype=np.int64)
        self.kept = {0: begin}

    def read(self, ids: Sequence[int]) -> Decoder:
        """A decoder that has read ``ids``, at least one; fork it to go on."""
        for _ in self.reading(ids):
            pass
        return self.kept[len(ids)]

    def reading(self, ids: Sequence[int]) -> Iterator[int]:
        """Read ``ids``; yields how many are read, now and then.

        Closing the iterator keeps what was read so far.
        """
        wanted = np.asarray(ids, dtype=np.int64)
        shorter = min(len(wanted), len(self.ids))
        differs = np.flatnonzero(wanted[:shorter] != self.ids[:shorter])
        same = int(differs[0]) if len(differs) else shorter
        self.kept = {count: decoder for count, decoder in self.kept.items() if count <= same}
        self.ids = wanted
        done = max(self.kept)
        while done < len(wanted):
            end = min(done + STRIDE, len(wanted))
            decoder = self.kept[done].fork(torch.tensor([0]))
            decoder.advance(torch.from_numpy(wanted[None, done:end]))
            self.keep(end, decoder)
            done = end
            yield done

    def keep(self, count: int, decoder: Decoder) -> None:
        """Keep the state after ``count`` tokens, and drop every second of the early ones where
        there are too many.
        """
        self.kept[count] = decoder
        if len(self.kept) > MOST:
            for early in sorted(self.kept)[1 : -MOST // 2 : 2]:
                del self.kept[early]
