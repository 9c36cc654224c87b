"""How much text there is: documents, tokens, characters, bytes and words, exactly and in a stream.

A word is what ``str.split`` calls one: a run of characters that are not white space in Unicode,
for every tokenizer; raw bytes are read as UTF-8 for that.  Texts come in pieces, and a word that is
cut by the border of two pieces counts once.
"""

import codecs
from dataclasses import dataclass, fields

import numpy as np

from charlm.data.sources.pieces import Piece
from charlm.errors import TokenizerError

__all__ = ["SPACES", "Counts", "TextCounter", "check_text", "code_points"]

CODE_SPACE = 0x110000
"""How many code points Unicode has."""

LAST_SPACE = 0x3000
"""The last code point that is white space, the ideographic space."""

SPACES = "".join(filter(str.isspace, map(chr, range(LAST_SPACE + 1))))
"""The characters that are white space in Unicode, which separate words."""

IS_SPACE = np.zeros(CODE_SPACE, dtype=bool)
IS_SPACE[list(map(ord, SPACES))] = True


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Sizes of a text in five units.  Counts of two texts add to those of both.

    ``tokens`` are those of the text, boundaries left out; ``chars`` are code points (of raw bytes:
    those that do not continue a UTF-8 sequence); ``bytes`` are in UTF-8; ``words`` are runs of
    characters that are not white space.
    """

    documents: int = 0
    tokens: int = 0
    chars: int = 0
    bytes: int = 0
    words: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )


class TextCounter:
    """Counts pieces as they pass."""

    def __init__(self) -> None:
        self.passed = Counts()
        self.in_word = False
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def counts(self) -> Counts:
        """What has passed so far."""
        # Bytes held back belong to a character that never came, which is no white space.
        begun = bool(self.decoder.getstate()[0]) and not self.in_word
        return self.passed + Counts(words=1) if begun else self.passed

    def add(self, piece: Piece, tokens: int = 0) -> None:
        """Count a piece that was encoded as so many tokens.

        Raises ``TokenizerError`` for a lone surrogate.
        """
        if piece.starts:
            self.passed, self.in_word = self.counts, False
            self.decoder.reset()
        self.passed += Counts(
            documents=int(piece.starts),
            tokens=tokens,
            chars=count_chars(piece.text),
            bytes=len(piece.text if isinstance(piece.text, bytes) else piece.text.encode()),
            words=self.count_words(piece.text),
        )

    def count_words(self, text: str | bytes) -> int:
        """Words that begin in ``text``; the last one may go on in the next piece."""
        if isinstance(text, bytes):
            text = self.decoder.decode(text)
        space = IS_SPACE.take(code_points(text))
        if not len(space):
            return 0
        begins_here = not space[0] and not self.in_word
        self.in_word = not space[-1]
        return int(np.count_nonzero(space[:-1] > space[1:])) + int(begins_here)


def count_chars(text: str | bytes) -> int:
    """Characters of a text; of raw bytes, those that are not UTF-8 continuation bytes."""
    if isinstance(text, str):
        return len(text)
    return int(np.count_nonzero((np.frombuffer(text, dtype=np.uint8) & 0xC0) != 0x80))


def code_points(text: str) -> np.ndarray:
    """The code points of ``text`` (chars,) as the narrowest of uint8 (ASCII), uint16 and uint32.

    Raises ``TokenizerError`` for a lone surrogate.
    """
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    narrow = utf_16(text)
    if len(narrow) == 2 * len(text):
        return np.frombuffer(narrow, dtype="<u2")
    return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")


def check_text(text: str) -> None:
    """Raise ``TokenizerError`` if ``text`` holds a lone surrogate, which no encoding can write."""
    if not text.isascii():
        utf_16(text)


def utf_16(text: str) -> bytes:
    """``text`` in little-endian UTF-16.  Raises ``TokenizerError`` for a lone surrogate."""
    try:
        return text.encode("utf-16-le")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"character {error.start} of the text is U+{ord(text[error.start]):04X}, half of a "
            "surrogate pair, which is no character",
            "remove it, or read the original file with `tokenizer.kind='byte'`",
        ) from None
