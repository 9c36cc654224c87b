"""Model text on a terminal: wrapped between words, shaded by its surprise."""

import os
import shutil
import sys

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.style import Style

from charlm.console.terminal import harmless, marks_after, without_protection

__all__ = ["SHADES", "TerminalText", "shade_of", "shades"]

SHADES = ((2.0, "#ffe8a3"), (4.0, "#ffc078"), (6.0, "#ff8787"), (8.0, "#e599f7"))
"""From how many bits a token is shaded in which color."""


def shades() -> bool:
    """Whether stdout shows colors."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def shade_of(bits: float) -> str | None:
    """The color of a token with this surprise; None: as it is."""
    return next((color for least, color in reversed(SHADES) if bits >= least), None)


class TerminalText:
    """Writes text to the terminal as it comes, wrapped between words.

    A word is held back until it is whole, or as wide as the terminal.
    """

    def __init__(self) -> None:
        self.width = shutil.get_terminal_size().columns
        self.stream = without_protection(sys.stdout)
        self.column = self.marks = 0
        self.word: list[tuple[str, str | None]] = []
        self.space = ""

    def write(self, text: str, shade: str | None = None) -> None:
        """Add text in a color, or as it is; nothing in it can steer the terminal."""
        text = text.replace("\r", "")
        safe = harmless(text, kept="\n\t", marks=self.marks)
        self.marks = marks_after(text, self.marks)
        for char in safe:
            if char == "\n":
                self.flush()
                self.emit("\n", None)
                self.column, self.space = 0, ""
            elif char.isspace():
                self.flush()
                self.space += "    " if char == "\t" else char
            else:
                self.word.append((char, shade))
                if cell_len(char) > 1 or len(self.word) >= self.width:
                    self.flush()  # scripts with wide characters break between any two
        self.stream.flush()

    def flush(self) -> None:
        """Write the word that is held back, on the next line if it does not fit on this one."""
        if not self.word:
            return
        size = sum(cell_len(char) for char, _ in self.word)
        if self.column and self.column + len(self.space) + size > self.width:
            self.emit("\n", None)
            self.column = 0
        else:
            self.emit(self.space, None)
            self.column += len(self.space)
        for char, shade in self.word:
            self.emit(char, shade)
        self.column += size
        self.word, self.space = [], ""

    def close(self) -> None:
        """Write what is left, and end the line."""
        self.flush()
        self.emit("\n", None)
        self.stream.flush()
        self.column, self.space = 0, ""

    def emit(self, text: str, shade: str | None) -> None:
        """Write to the terminal."""
        if shade is not None:
            style = Style(color="#000000", bgcolor=shade)
            text = style.render(text, color_system=ColorSystem.TRUECOLOR)
        self.stream.write(text)
