"""The items of a JSON list in a stream, so that a list larger than the memory can be read."""

import re
from collections.abc import Iterable, Iterator

from charlm.untrusted import MOST_STRUCTURE

__all__ = ["list_items"]

SIGN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.DOTALL)
"""A string, a sign that begins, ends or divides, or the quote of a string that is not closed."""


def list_items(pieces: Iterable[str], longest: int) -> Iterator[str]:
    """The text of each item of the list that ``pieces`` make, which begins with ``[``.

    Raises ``ValueError`` for an item of more than ``longest`` characters, a list that is not
    closed, and text after it.
    """
    text, begin, at, depth, count, signs = "", 0, 0, 0, 0, 0
    for piece in pieces:
        text, at, begin = text[begin:] + piece, at - begin, 0
        if len(text) - begin - len(piece) > longest:
            raise ValueError(f"an item is longer than {longest:,} characters")
        if at < len(text) - len(piece) and '"' not in piece:
            continue  # all of it belongs to a string that began before
        while found := SIGN.search(text, at):
            sign, at, signs = found[0], found.end(), signs + 1
            if sign == '"':  # the string goes on in the next piece
                at = found.start()
                break
            depth += (sign in ("[", "{")) - (sign in ("]", "}"))
            if sign == "[" and depth == 1 and not count:
                begin, count = at, 1
            elif (sign == "," and depth == 1) or (sign == "]" and depth == 0):
                item = text[begin : found.start()]
                if sign == "," or count > 1 or item.strip():
                    yield item
                begin, count, signs = at, count + 1, 0
            elif signs > MOST_STRUCTURE:
                raise ValueError(f"an item holds more than {MOST_STRUCTURE:,} values")
        else:
            at = len(text)
        if depth == 0 and text[begin:].strip():
            raise ValueError("text follows the list")
    if depth:
        raise ValueError("the list is not closed")
