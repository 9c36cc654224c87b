"""Five ways to cut text into tokens behind one interface: byte, char, word, bpe, unigram.

``tokenizer_trainer`` makes a tokenizer from text, ``save`` writes it, ``load`` reads it back.
A folder holds JSON and, for bpe and unigram, a SentencePiece model; loading executes nothing.
"""

import hashlib
from pathlib import Path
from typing import Any

from charlm.config import TokenizerConfig
from charlm.data.tokenizers.alphabets import ByteTokenizer, CharTokenizer, CharTrainer
from charlm.data.tokenizers.base import DEFINITION, FORMAT, REMEDY, TextStream, Tokenizer, as_text
from charlm.data.tokenizers.subwords import MODEL, SubwordTokenizer, SubwordTrainer
from charlm.data.tokenizers.words import WordTokenizer, WordTrainer
from charlm.errors import TokenizerError, way_out
from charlm.untrusted import parse_json, read_file

__all__ = ["TextStream", "Tokenizer", "as_text", "load", "tokenizer_trainer"]

LARGEST_DEFINITION = 1 << 26
"""Bytes of a definition that are read at most, far above any vocabulary that a model could use."""

MOST_SYMBOLS = (1 << 21) + (1 << 10)
"""Symbols of a definition at most, a little more than words are counted."""

LARGEST_MODEL = 1 << 23
"""Bytes of a SentencePiece model that are read at most: some 500,000 pieces."""


class ByteTrainer:
    """Makes the byte tokenizer, which depends on no text."""

    def add(self, text: str | bytes) -> None:
        """Ignore ``text``."""

    def finish(self) -> tuple[ByteTokenizer, tuple[str, ...]]:
        """The byte tokenizer, without notes."""
        return ByteTokenizer(), ()


TokenizerTrainer = ByteTrainer | CharTrainer | WordTrainer | SubwordTrainer
"""Takes texts by ``add``, one after the other, and makes a tokenizer of them by ``finish``.

Deterministic, and in memory bounded by the vocabulary, not by the text.
"""


def tokenizer_trainer(config: TokenizerConfig) -> TokenizerTrainer:
    """A new trainer for a tokenizer of the kind that ``config`` asks for."""
    if config.kind == "byte":
        return ByteTrainer()
    if config.kind == "char":
        return CharTrainer(config)
    return WordTrainer(config) if config.kind == "word" else SubwordTrainer(config)


def load(folder: Path) -> Tokenizer:
    """Read what ``save`` wrote.

    Raises ``TokenizerError`` for what is missing, damaged, too large or from a newer version.
    """
    content = read_bounded(folder / DEFINITION, LARGEST_DEFINITION)
    try:
        definition = parse_json(content, structure=MOST_SYMBOLS)
    except ValueError as error:
        raise damaged(folder, f"no JSON: {error}") from None
    if not isinstance(definition, dict):
        raise damaged(folder, "no JSON object")
    if definition.get("format") != FORMAT:
        raise TokenizerError(
            f"{folder / DEFINITION} has format {definition.get('format')!r}, not {FORMAT}",
            "use the version of charlm that wrote it, or a newer one",
        )
    try:
        return tokenizer_of(folder, definition)
    except TokenizerError as error:
        if str(folder) in str(error):
            raise
        raise TokenizerError(f"{folder / DEFINITION}: {error}", error.hint) from None


def tokenizer_of(folder: Path, definition: dict[str, Any]) -> Tokenizer:
    """The tokenizer of a definition.  Raises ``TokenizerError``."""
    kind, symbols = definition.get("kind"), definition.get("symbols")
    if kind == "byte":
        return ByteTokenizer()
    if kind in ("bpe", "unigram"):
        model = read_bounded(folder / MODEL, LARGEST_MODEL)
        # SentencePiece has crashed on damaged models.
        if hashlib.sha256(model).hexdigest() != definition.get("model_sha256"):
            raise TokenizerError(f"{folder / MODEL} is not the model that was saved", REMEDY)
        return SubwordTokenizer(kind, model)
    if not isinstance(symbols, list) or not all(isinstance(symbol, str) for symbol in symbols):
        raise damaged(folder, f"of kind {kind!r} without a list of symbols")
    if kind == "char":
        return CharTokenizer(symbols)
    if kind == "word" and isinstance(definition.get("end_of_line"), bool):
        return WordTokenizer(symbols, end_of_line=definition["end_of_line"])
    raise damaged(folder, f"of an unknown kind, {kind!r}")


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a file of at most ``limit`` bytes.  Raises ``TokenizerError``."""
    try:
        return read_file(path, limit)
    except OSError as error:
        raise TokenizerError(
            f"{path} cannot be read: {error.strerror}",
            f"{way_out(error)}, or give the folder of another tokenizer or run",
        ) from None
    except ValueError as error:
        raise TokenizerError(f"{path} cannot be used: {error}", REMEDY) from None


def damaged(folder: Path, what: str) -> TokenizerError:
    """The error for a tokenizer folder that is none."""
    return TokenizerError(f"{folder / DEFINITION} is {what}", REMEDY)
