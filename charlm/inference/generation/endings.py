"""Where a text ends: after so many characters, words, sentences, lines, paragraphs or tokens."""

import re

from charlm.config import GenerationConfig

__all__ = ["Ending"]

BREAKS = {
    "words": re.compile(r"(?<=\S)(?=\s)"),
    "sentences": re.compile(r"(?<=\S)[.!?…]+[\"'\u201d\u2019)\]]*(?=\s)|(?<=[^\n.!?…])(?=\n\n)"),
    "lines": re.compile(r"(?<=[^\r\n])(?=[\r\n])"),
    "paragraphs": re.compile(r"[^\r\n]\r?\n(?=[\r\n])"),
}
"""The end of a unit, which the white space after it shows.  A sentence also ends with its
paragraph, and empty lines are not counted; a paragraph ends before the empty line after it."""

CONTEXT = 16
"""Characters before a piece that the end of a unit may depend on."""

LONGEST_REST = 1000
"""Characters in which the end of the last word, sentence or line is looked for; there the text
ends in any case."""

LONGEST_UNIT = 20_000
"""Characters, and tokens without any, in which the end of the next unit is looked for.  A text
that repeats itself without a sentence's end, or writes nothing but ends of documents, ends there
instead of never."""


class Ending:
    """Finds where one text ends, while its pieces come."""

    def __init__(self, config: GenerationConfig) -> None:
        self.unit, self.left, self.whole = config.unit, config.length, config.whole
        self.tail = ""
        self.rest, self.patience = LONGEST_REST, LONGEST_UNIT

    def find(self, piece: str) -> int | None:
        """How many characters of the next token's text still belong to the text; None: all, and
        the text goes on.
        """
        if self.left < 0:
            return None
        begin, left = 0, self.left
        if self.unit in ("characters", "tokens"):
            counted = len(piece) if self.unit == "characters" else 1
            begin = len(piece) + min(self.left - counted, 0) * (self.unit == "characters")
            self.left = max(self.left - counted, 0)
            if self.left == 0 and self.whole == "none":
                return begin
            if self.left == 0:
                self.unit, self.left = f"{self.whole}s", 1
        found = self.search(piece, begin) if self.unit in BREAKS else None
        self.tail = (self.tail + piece)[-CONTEXT:]
        self.patience = LONGEST_UNIT if self.left < left else self.patience - max(len(piece), 1)
        return len(piece) if found is None and self.patience <= 0 else found

    def search(self, piece: str, begin: int) -> int | None:
        """Where, from ``begin`` on, the last unit ends that is still to be written."""
        text, offset = self.tail + piece, len(self.tail)
        for match in BREAKS[self.unit].finditer(text):
            end = match.end() - offset
            if begin <= end < len(piece):
                self.left -= 1
                if not self.left:
                    return end
        if self.whole != "none":
            self.rest -= len(piece)
            return len(piece) if self.rest <= 0 else None
        return None
