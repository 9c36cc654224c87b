"""The end of a text as rows of a terminal, wrapped between words."""

from collections.abc import Iterator
from functools import lru_cache

from prompt_toolkit.utils import get_cwidth

from charlm.console.terminal import harmless

__all__ = ["columns_of", "last_rows", "shortened", "wrap"]

TAB = "    "

LONGEST_LINE = 20_000
"""Characters of one line that are wrapped at most, so that a key press costs little; of a longer
line the last 10,000 to 20,000 are shown."""

Row = tuple[int, int]
"""Where a row begins in its line, and where it ends."""


def columns_of(text: str) -> int:
    """How many columns of a terminal ``text`` takes."""
    return sum(map(get_cwidth, text))


def shortened(text: str, columns: int) -> str:
    """``text`` in at most ``columns``; what is cut off is marked by an ellipsis."""
    if columns_of(text) <= columns:
        return text
    kept = ""
    for char in text:
        if columns_of(kept + char) > columns - 1:
            break
        kept += char
    return kept + "…" if columns > 0 else ""


def cells(line: str) -> Iterator[tuple[int, int, int]]:
    """For each character with the marks that follow it: its begin, its end, and its columns."""
    start = 0
    for end in range(1, len(line) + 1):
        if end == len(line) or get_cwidth(line[end]) > 0 or line[end] == "\t":
            char = line[start]
            yield start, end, len(TAB) if char == "\t" else get_cwidth(char)
            start = end


@lru_cache(maxsize=256)
def wrap(line: str, width: int) -> tuple[Row, ...]:
    """The rows of a line without line breaks, at least one; a space that ends a full row is not
    shown.
    """
    rows: list[Row] = []
    begin = used = break_at = used_at_break = 0
    for start, end, columns in cells(line):
        is_space = line[start] == " "
        while used + columns > width and start > begin:
            if not is_space and break_at > begin:  # the word moves to the next row
                rows.append((begin, break_at))
                begin, used = break_at, used - used_at_break
            else:
                rows.append((begin, start))
                begin, used = (end, -columns) if is_space else (start, 0)
        used += columns
        if line[start].isspace() or columns > 1:  # scripts with wide characters break anywhere
            break_at, used_at_break = end, used
    return (*rows, (begin, len(line)))


def last_rows(
    text: str, mark: int, width: int, height: int, back: int = 0
) -> list[tuple[str, str]]:
    """The last ``height`` rows of ``text``, or those ``back`` rows before; of each what stands
    before the offset ``mark`` of the text, and what stands from there on.

    Nothing in them steers a terminal.
    """
    found: list[tuple[str, str]] = []
    end = len(text)
    while len(found) < height + back and end >= 0:
        begin = text.rfind("\n", 0, end) + 1
        late = max(0, (end - begin) // (LONGEST_LINE // 2) - 1) * (LONGEST_LINE // 2)
        line = harmless(text[begin + late : end].removesuffix("\r"), kept="\t")
        for start, stop in reversed(wrap(line, width)):
            cut = min(max(mark - begin - late, start), stop)
            parts = line[start:cut], line[cut:stop]
            found.append((parts[0].replace("\t", TAB), parts[1].replace("\t", TAB)))
        end = begin - 1
    back = min(back, max(0, len(found) - height))
    return found[back : back + height][::-1]
