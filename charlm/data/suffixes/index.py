"""Searches in a text whose suffixes are sorted (Manber and Myers 1993).

The text is UTF-8; each document ends with the byte 0xFF, which no UTF-8 holds, so that nothing is
found across two documents.  A search takes some 30 comparisons in a gigabyte.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from charlm.errors import counted

__all__ = ["END", "Place", "SuffixIndex"]

END = b"\xff"
"""What follows each document."""

BLOCK = 1 << 24
"""Bytes that are counted at a time."""

CONTINUATION = bytes(range(0x80, 0xC0))
"""The bytes of UTF-8 that do not begin a character."""


@dataclass(frozen=True)
class Place:
    """Where a text stands: the number of the document and of the line in it, both from 1, the
    characters of the document before it, and how many ``times`` it stands anywhere.
    """

    document: int
    line: int
    position: int
    times: int


class SuffixIndex:
    """A text, and the offsets of its suffixes in the order of their bytes."""

    def __init__(self, text: memoryview, suffixes: memoryview) -> None:
        self.text, self.suffixes = text, suffixes

    def __repr__(self) -> str:
        return f"<SuffixIndex of {counted(len(self.text), 'byte')}>"

    def beginning(self, size: int) -> Callable[[int], bytes]:
        """A function: number of a suffix -> its first ``size`` bytes."""
        text, suffixes = self.text, self.suffixes
        return lambda number: bytes(text[suffixes[number] : suffixes[number] + size])

    def interval(self, content: bytes, low: int = 0, high: int | None = None) -> tuple[int, int]:
        """The suffixes that begin with ``content``: the number of the first, and that after the
        last; among those from ``low`` to before ``high``.
        """
        every, key = range(len(self.suffixes)), self.beginning(len(content))
        high = len(every) if high is None else high
        first = bisect_left(every, content, low, high, key=key)
        return first, bisect_right(every, content, first, high, key=key)

    def __contains__(self, text: str) -> bool:
        """Whether ``text`` stands within a document."""
        first, last = self.interval(text.encode())
        return last > first

    def prefix_length(self, text: str) -> int:
        """How many of the first characters of ``text`` stand together in a document."""
        content = text.encode()
        beginning = self.beginning(len(content))
        place = bisect_left(range(len(self.suffixes)), content, key=beginning)
        near = (place - 1, place) if place else (place,)
        most = max(
            (common(content, beginning(each)) for each in near if each < len(self.suffixes)),
            default=0,
        )
        return len(content[:most].decode("utf-8", "ignore"))

    def followers(self, first: int, last: int, skip: int, characters: int) -> set[str]:
        """What follows the ``skip`` bytes that suffixes ``first`` to before ``last`` begin with:
        so many ``characters``, where the document goes on for so long.
        """
        found = set()
        for offset in self.suffixes[first:last]:
            start = offset + skip
            after, _, _ = bytes(self.text[start : start + 4 * characters]).partition(END)
            found.add(after.decode("utf-8", "ignore")[:characters])
        return {each for each in found if len(each) == characters}

    def place_of(self, text: str) -> Place:
        """Where ``text``, which stands in a document, does so first."""
        first, last = self.interval(text.encode())
        start = min(self.suffixes[first:last])
        documents = lines = position = 0
        for begin in range(0, start, BLOCK):
            block = bytes(self.text[begin : min(start, begin + BLOCK)])
            end = block.rfind(END) + 1
            if end:
                documents, lines, position = documents + block.count(END), 0, 0
            lines += block.count(b"\n", end)
            position += len(block[end:].translate(None, CONTINUATION))
        return Place(max(documents, 1), lines + 1, position, last - first)


def common(left: bytes, right: bytes) -> int:
    """How many bytes two texts have in common at their beginning."""
    low, high = 0, min(len(left), len(right))
    while low < high:  # halving, because slices compare fast
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
