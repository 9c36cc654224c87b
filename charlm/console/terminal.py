"""Text made safe for a terminal, in the one place that all text for a terminal passes.

``protect_terminals`` puts a ``TerminalStream`` before each standard stream that is a terminal.  It
shows what would steer the terminal instead of sending it: escape sequences of a file name, a
setting, a text or a model.  Streams into files and pipes stay as they are, byte for byte.
"""

import re
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, TextIO

__all__ = [
    "STEERING",
    "TerminalStream",
    "harmless",
    "marks_after",
    "protect_terminals",
    "without_protection",
]

STEERING = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # controls, C1 and with it the 8-bit CSI among them
    "\u2028\u2029\u202a-\u202e\u2066-\u206f"  # separators; what reorders or shapes the text
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"  # unseen marks, tags, half characters
)
"""Characters that a terminal obeys, or does not show, or that show other text in another order.

The marks of single characters (U+061C, U+200E, U+200F) and the joiners (U+200C, U+200D) are not
among them, because Arabic, Hebrew, Indian scripts and emoji need them.
"""

MOST_MARKS = 8
"""Combining marks on one character; more of them run over the lines above and below.  No script
stacks more than six.
"""

LETTERS = re.compile("[\u0300-\U0010ffff]")
"""Below are no combining marks."""

Picture = Callable[[str], str]


def picture(char: str) -> str:
    """The control picture of an ASCII control character, U+FFFD for the others."""
    if ord(char) < 32:
        return chr(0x2400 + ord(char))
    return "\u2421" if ord(char) == 127 else "\ufffd"


def harmless(text: str, show: Picture = picture, kept: str = "", marks: int = 0) -> str:
    """``text`` with what ``show`` makes of every character that steers a terminal and is not in
    ``kept``, and of combining marks beyond ``MOST_MARKS``, where ``marks`` stand before ``text``.
    """
    safe = STEERING.sub(lambda found: found[0] if found[0] in kept else show(found[0]), text)
    return limited(safe, show, marks)[0] if LETTERS.search(safe) else safe


def limited(text: str, show: Picture, marks: int) -> tuple[str, int]:
    """``text`` with ``show`` in place of marks beyond ``MOST_MARKS`` in a row; marks at its end."""
    shown = []
    for char in text:
        is_mark = char >= "\u0300" and unicodedata.category(char) in ("Mn", "Me")
        marks = marks + 1 if is_mark else 0
        shown.append(char if marks <= MOST_MARKS else show(char))
    return "".join(shown), marks


def marks_after(text: str, marks: int) -> int:
    """How many combining marks stand at the end of ``text``, before which stand ``marks``."""
    return limited(text[-MOST_MARKS - 1 :], picture, marks)[1]


class TerminalStream:
    """A text stream for a terminal, into which only harmless text is written.

    Tabs and line breaks stay; a carriage return, of CR LF line breaks, is left out.  ``buffer``
    takes bytes and shows them as UTF-8.  All else is that of the stream below.
    """

    def __init__(self, stream: TextIO) -> None:
        self.rich_proxied_file = stream  # rich steers the terminal, and writes here
        self.marks = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.rich_proxied_file, name)

    def write(self, text: str) -> int:
        """Write ``text``; returns its length."""
        self.rich_proxied_file.write(
            harmless(text.replace("\r", ""), kept="\n\t", marks=self.marks)
        )
        self.marks = marks_after(text, self.marks)
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write all ``lines``."""
        for line in lines:
            self.write(line)

    @property
    def buffer(self) -> "TerminalBuffer":
        """The stream for bytes."""
        return TerminalBuffer(self)


class TerminalBuffer:
    """A stream of bytes that shows them as text on a terminal."""

    def __init__(self, stream: TerminalStream) -> None:
        self.stream = stream
        self.flush = stream.flush

    def write(self, content: bytes) -> int:
        """Write ``content``; what is not UTF-8 becomes U+FFFD.  Returns the count of bytes."""
        self.stream.write(bytes(content).decode("utf-8", "replace"))
        return len(content)


def protect_terminals() -> None:
    """Put a ``TerminalStream`` before stdout and stderr where they are terminals."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream.isatty() and not isinstance(stream, TerminalStream):
            setattr(sys, name, TerminalStream(stream))


def without_protection(stream: Any) -> TextIO:
    """The stream below a ``TerminalStream`` and below what rich puts before it, for what steers a
    terminal on purpose.
    """
    while below := getattr(stream, "rich_proxied_file", None):
        stream = below
    found: TextIO = stream
    return found
