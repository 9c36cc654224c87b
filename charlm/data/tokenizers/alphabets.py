"""Byte and character tokenizers, which encode by a table from byte or code point to id."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from charlm.config import TokenizerConfig
from charlm.data.preparation.counting import CODE_SPACE, check_text, code_points
from charlm.data.tokenizers.base import REMEDY, UNKNOWN, UNKNOWN_ID, Tokenizer, as_text
from charlm.errors import TokenizerError, counted

__all__ = ["ByteTokenizer", "CharTokenizer", "CharTrainer"]


class ByteTokenizer(Tokenizer):
    """Byte b is id b + 1.  Any file round-trips."""

    kind = "byte"

    def __init__(self) -> None:
        self.table = [b"", *(bytes([byte]) for byte in range(256))]

    def encode(self, text: str | bytes) -> np.ndarray:
        """The ids (bytes,) of any bytes, or of the UTF-8 of ``text``."""
        if isinstance(text, str):
            text = as_text(text).encode("utf-8")
        return np.add(np.frombuffer(text, dtype=np.uint8), 1, dtype=self.dtype)

    def definition(self) -> dict[str, Any]:
        """The kind alone: all byte tokenizers are equal."""
        return {"kind": self.kind}


class CharTokenizer(Tokenizer):
    """A character (Unicode code point) is a token; those outside the alphabet are ``<unk>``.

    ``decode(encode(text)) == text`` for every text over the alphabet.
    """

    kind = "char"
    unknown_id = UNKNOWN_ID

    def __init__(self, symbols: Sequence[str]) -> None:
        """``symbols`` get the ids from 2 on.

        Raises ``TokenizerError`` if one is no single character or comes twice.
        """
        if any(not isinstance(symbol, str) or len(symbol) != 1 for symbol in symbols):
            raise TokenizerError("the alphabet holds something that is no character", REMEDY)
        if len(set(symbols)) != len(symbols):
            raise TokenizerError("the alphabet holds a character twice", REMEDY)
        self.symbols = list(symbols)
        check_text("".join(symbols))
        self.table = [b"", UNKNOWN.encode(), *(symbol.encode() for symbol in symbols)]
        self.tables: dict[int, np.ndarray] = {}
        self.narrow = self.ids_by_code(1).tobytes() if self.dtype.itemsize == 1 else None

    def __reduce__(self) -> tuple[type["CharTokenizer"], tuple[list[str]]]:
        return CharTokenizer, (self.symbols,)

    def encode(self, text: str | bytes) -> np.ndarray:
        """The ids (chars,) of ``text``."""
        if isinstance(text, bytes):
            text = as_text(text)
        if self.narrow is not None and text.isascii():
            found = bytearray(text, "ascii").translate(self.narrow)
            return np.frombuffer(found, dtype=self.dtype)
        codes = code_points(text)
        return self.ids_by_code(codes.itemsize).take(codes)

    def ids_by_code(self, width: int) -> np.ndarray:
        """Ids (256, 65,536 or 0x110000,) of all code points that ``width`` bytes can hold."""
        if width not in self.tables:
            table = np.full(min(1 << 8 * width, CODE_SPACE), UNKNOWN_ID, dtype=self.dtype)
            codes = np.array([ord(symbol) for symbol in self.symbols], dtype=np.int64)
            fits = codes < len(table)
            table[codes[fits]] = np.arange(2, self.vocab_size)[fits]
            self.tables[width] = table
        return self.tables[width]

    def unknown(self, text: str) -> Counter[str]:
        """The characters of ``text`` outside the alphabet, with their counts."""
        missing = code_points(text)[self.encode(text) == UNKNOWN_ID]
        return Counter(map(chr, missing.tolist()))

    def definition(self) -> dict[str, Any]:
        """The alphabet in the order of the ids."""
        return {"kind": self.kind, "symbols": self.symbols}


class CharTrainer:
    """Counts characters as texts pass and makes an alphabet of the frequent ones."""

    def __init__(self, config: TokenizerConfig) -> None:
        self.config = config
        self.counts = np.zeros(CODE_SPACE, dtype=np.int64)

    def add(self, text: str | bytes) -> None:
        """Count a text.  Raises ``TokenizerError`` for a lone surrogate."""
        if isinstance(text, bytes):
            text = as_text(text)
        found = np.bincount(code_points(text))
        self.counts[: len(found)] += found

    def finish(self) -> tuple[CharTokenizer, tuple[str, ...]]:
        """The tokenizer, and notes for the user on rare characters.

        Raises ``TokenizerError`` if no character is frequent enough.
        """
        codes = np.flatnonzero(self.counts)
        order = codes[np.argsort(-self.counts[codes], kind="stable")]
        kept = order[self.counts[order] >= self.config.min_count]
        if self.config.vocab_size is not None:
            kept = kept[: self.config.vocab_size - 2]
        if not len(kept):
            raise TokenizerError(
                f"no character of the text occurs {counted(self.config.min_count, 'time')}",
                "lower `tokenizer.min_count`, or give more text",
            )
        dropped = len(codes) - len(kept)
        share = 1 - self.counts[kept].sum() / self.counts.sum()
        rare, become = counted(dropped, "rare character"), "becomes" if dropped == 1 else "become"
        note = f"{rare} ({share:.3%} of the text) {become} {UNKNOWN}"
        return CharTokenizer([chr(code) for code in kept]), (note,) if dropped else ()
