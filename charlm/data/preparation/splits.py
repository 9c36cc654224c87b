"""The division of one text into training, validation and test part, in this order."""

import math
from collections.abc import Iterable, Iterator, Sequence

from charlm.data.sources.pieces import Piece

__all__ = ["divide", "part_ends"]


def part_ends(total: int, shares: Sequence[float]) -> list[int]:
    """Where each part ends, in characters (raw: bytes): ``int(total * cumulative share)``.

    The last part ends at ``total``.  The convention is that of nanoGPT's ``int(n * 0.9)``.
    """
    # Rounded, because 0.7 + 0.1 is a little less than 0.8.
    cumulative = [round(math.fsum(shares[:count]), 12) for count in range(1, len(shares))]
    return [*(int(total * share) for share in cumulative), total]


def divide(pieces: Iterable[Piece], ends: Sequence[int]) -> Iterator[tuple[int, Piece]]:
    """The pieces with the number of the part they belong to, cut at ``ends``.

    A part that begins within a document starts a document.  What lies beyond the last end is left
    out.
    """
    position, part, fresh = 0, 0, True
    for piece in pieces:
        text, starts = piece.text, piece.starts
        while text:
            while part < len(ends) and position >= ends[part]:
                part, fresh = part + 1, True
            if part == len(ends):
                return
            head, text = text[: ends[part] - position], text[ends[part] - position :]
            yield part, Piece(head, starts or fresh)
            position += len(head)
            starts = fresh = False
