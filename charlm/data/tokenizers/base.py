"""The interface of all tokenizers: text to ids, ids to text, a definition kept in a folder."""

import codecs
import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from charlm.config import BOUNDARY_ID
from charlm.data.preparation.counting import check_text
from charlm.durable import write_text
from charlm.errors import TokenizerError

__all__ = [
    "DEFINITION",
    "FORMAT",
    "REMEDY",
    "UNKNOWN",
    "UNKNOWN_ID",
    "TextStream",
    "Tokenizer",
    "as_text",
]

UNKNOWN_ID = 1
"""The id of the unknown symbol, in tokenizers that have one."""

UNKNOWN = "<unk>"
DEFINITION = "tokenizer.json"
FORMAT = 1
"""Version of the tokenizer folder; another one is refused."""

REMEDY = "the tokenizer folder is damaged: restore it, or train again"


class Tokenizer(ABC):
    """Text to ids and back.  Id 0 is the boundary, which stands for no text.

    ``table[id]`` is the UTF-8 that an id stands for; pickling and ``save`` keep all of it.
    """

    kind: str
    boundary_id: int = BOUNDARY_ID
    unknown_id: int | None = None
    table: list[bytes]

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.kind}, vocabulary {self.vocab_size:,}>"

    @property
    def vocab_size(self) -> int:
        """How many ids there are, the boundary included."""
        return len(self.table)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest of little-endian uint8, uint16 and uint32 that holds every id."""
        widths = (("<u1", 1 << 8), ("<u2", 1 << 16))
        return np.dtype(next((name for name, ids in widths if self.vocab_size <= ids), "<u4"))

    @abstractmethod
    def encode(self, text: str | bytes) -> np.ndarray:
        """The ids (N,) of ``text``, of ``dtype``, no boundary added.

        Bytes are UTF-8, except for the byte tokenizer, which takes any.  Raises
        ``TokenizerError`` for lone surrogates and for bytes that are not UTF-8.
        """

    def symbols_of(self, text: str | bytes) -> Sequence[str]:
        """What each id of ``encode(text)`` stands for, in tokenizers that have an unknown symbol:
        the characters of ``text``, or its words.
        """
        return as_text(text)

    @abstractmethod
    def definition(self) -> dict[str, Any]:
        """All that defines the tokenizer, as JSON (a SentencePiece model by its hash)."""

    def decode(self, ids: ArrayLike) -> str:
        """The text of ``ids`` (N,); what is not UTF-8 becomes U+FFFD, a boundary nothing."""
        return self.decode_bytes(ids).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: ArrayLike) -> bytes:
        """The bytes of ``ids`` (N,).  Raises ``TokenizerError`` for an id out of range."""
        return b"".join(map(self.table.__getitem__, self.checked(ids)))

    def token_bytes(self, id: int) -> bytes:
        """The bytes that one id stands for.  Raises ``TokenizerError`` for an id out of range."""
        if not 0 <= id < self.vocab_size:
            raise self.foreign(id)
        return self.table[id]

    def stream(self) -> "TextStream":
        """A decoder that takes one id at a time."""
        return TextStream(self)

    def unknown(self, text: str) -> Counter[str]:
        """The characters or words of ``text`` outside the vocabulary, with counts.

        Empty for tokenizers without an unknown symbol.
        """
        return Counter()

    def oov(self, text: str | bytes, ids: np.ndarray) -> np.ndarray:
        """ids (N,), the encoding of ``text`` -> which of them the vocabulary lacks (N,)."""
        lacking: np.ndarray = np.equal(ids, -1 if self.unknown_id is None else self.unknown_id)
        return lacking

    def digest(self) -> str:
        """SHA-256, in hex, over all that defines the tokenizer."""
        return hashlib.sha256(json.dumps(self.definition(), sort_keys=True).encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """Write the tokenizer into an existing folder.  Raises ``OSError``."""
        table = {"format": FORMAT, **self.definition()}
        write_text(folder / DEFINITION, json.dumps(table, ensure_ascii=False, indent=0) + "\n")

    def checked(self, ids: ArrayLike) -> list[int]:
        """``ids`` (N,) as a list of integers.  Raises ``TokenizerError`` for an id out of range."""
        array = np.asarray(ids, dtype=np.int64).ravel()
        if len(array) and not 0 <= array.min() <= array.max() < self.vocab_size:
            raise self.foreign(array[(array < 0) | (array >= self.vocab_size)][0])
        return array.tolist()

    def foreign(self, id: int) -> TokenizerError:
        """The error for an id out of range."""
        return TokenizerError(
            f"token id {id} is outside the vocabulary of {self.vocab_size}",
            "use the tokenizer that the ids were made with",
        )


class TextStream:
    """Decodes one id at a time and holds bytes back until they make a whole character.

    What ``push`` returns for each id, and ``flush`` at the end, joins to what ``decode`` returns.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, id: int) -> str:
        """The characters that ``id`` completes; often one token, sometimes nothing."""
        return self.decoder.decode(self.tokenizer.token_bytes(id))

    def flush(self) -> str:
        """The bytes still held back, as U+FFFD; afterwards the stream can be used again."""
        rest = self.decoder.decode(b"", final=True)
        self.decoder.reset()
        return rest


def as_text(text: str | bytes) -> str:
    """``text`` as str, free of lone surrogates; bytes must be UTF-8.

    Raises ``TokenizerError``.
    """
    if isinstance(text, str):
        check_text(text)
        return text
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TokenizerError(
            f"byte {error.start} of the text is not UTF-8", "use `tokenizer.kind='byte'`"
        ) from None
