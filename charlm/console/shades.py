"""Text with rows of shades beneath it, as wide as the terminal."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from rich.cells import cell_len

from charlm.console.streams import on_one_line

__all__ = ["HEIGHTS", "SHADES", "draw_rows", "ramp", "shade"]

SHADES = " ░▒▓█"
"""From 0 to 1, for gates."""

HEIGHTS = "▁▂▃▄▅▆▇█"
"""From the lowest to the highest value, for what may be negative."""

PLAIN = {SHADES: " .:*#", HEIGHTS: "12345678"}
"""What stands for them in an output that cannot show blocks."""

LINE_END = re.compile(r"\n(?:[ \t\r]*\n)*")
"""The end of a line and the empty lines after it, which have no rows of their own."""


def ramp(characters: str) -> str:
    """``SHADES`` or ``HEIGHTS``, or what stands for them where stdout cannot encode them."""
    try:
        characters.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return PLAIN[characters]
    return characters


def shade(values: np.ndarray, low: float, high: float, characters: str) -> list[str]:
    """A character of a ramp for each value (T,), in equal steps from ``low`` to ``high``."""
    marks = ramp(characters)
    steps = (values - low) / max(high - low, 1e-12) * len(marks)
    return [marks[place] for place in np.clip(steps.astype(int), 0, len(marks) - 1)]


def draw_rows(
    tokens: Sequence[str], rows: Mapping[str, Sequence[str]], columns: int
) -> Iterator[str]:
    """Lines of ``columns`` columns at most: tokens, and under them each row's characters, one for
    each token; a token that is several columns wide repeats its character.

    A line ends with the line of the text, together with empty lines after it, or where the next
    token does not fit.
    """
    label = max(map(len, rows)) + 1
    shown = [on_one_line(token) for token in tokens]
    shown = [token if cell_len(token) else "·" for token in shown]
    for begin, end in cut(tokens, [cell_len(token) for token in shown], columns - label):
        yield " " * label + "".join(shown[begin:end])
        for name, marks in rows.items():
            row = (marks[at] * cell_len(shown[at]) for at in range(begin, end))
            yield f"{name:<{label}}{''.join(row)}".rstrip()
        yield ""


def cut(tokens: Sequence[str], widths: Sequence[int], columns: int) -> Iterator[tuple[int, int]]:
    """Where lines of tokens begin and end, none wider than ``columns`` unless a token is."""
    ends = {match.end() for match in LINE_END.finditer("".join(tokens))}
    begin = used = place = 0
    for at, (token, width) in enumerate(zip(tokens, widths, strict=True)):
        if at > begin and (place in ends or used + width > columns):
            yield begin, at
            begin, used = at, 0
            ends.discard(place)  # an empty token begins where the next one does
        used += width
        place += len(token)
    if begin < len(tokens):
        yield begin, len(tokens)
