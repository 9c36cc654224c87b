"""Vocabularies of other tools: which symbol each id stands for."""

import json
import re
import string
from pathlib import Path
from typing import Any

from charlm.errors import ModelError

__all__ = ["kind_of", "read_vocabulary"]

LARGEST = 1 << 27
PRINTABLE = "printable"
"""Name of the vocabulary of char-rnn.pytorch, Python's ``string.printable``."""


def read_vocabulary(source: str | Path) -> list[str]:
    """The symbols in the order of their ids.

    ``source`` is "printable", a file with one symbol a line, or JSON: a list of symbols, an object
    from symbol to id, or one from id to symbol.  Raises ``ModelError``.
    """
    if str(source) == PRINTABLE:
        return list(string.printable)
    path = Path(source)
    try:
        if path.stat().st_size > LARGEST:
            raise ModelError(f"{path} is larger than {LARGEST:,} bytes", "give a vocabulary file")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", WAY_OUT) from None
    except UnicodeDecodeError:
        raise ModelError(f"{path} is not UTF-8", WAY_OUT) from None
    if path.suffix != ".json":
        return text.removesuffix("\n").replace("\r\n", "\n").split("\n")
    try:
        return ordered(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is no vocabulary: {error}", WAY_OUT) from None


SURROGATE = re.compile("[\ud800-\udfff]")

WAY_OUT = "give a file with one symbol a line, or JSON with a list of symbols or symbol: id"


def ordered(value: Any) -> list[str]:
    """The symbols of a list or of an object in either direction.  Raises ``ValueError``."""
    if isinstance(value, list):
        pairs = list(enumerate(value))
    elif isinstance(value, dict) and all(type(each) is int for each in value.values()):
        pairs = [(id, symbol) for symbol, id in value.items()]
    elif isinstance(value, dict) and all(key.isdecimal() for key in value):
        pairs = [(int(id), symbol) for id, symbol in value.items()]
    else:
        raise ValueError("neither a list of symbols nor an object of symbols and ids")
    symbols = dict(pairs)
    if not all(isinstance(symbol, str) for symbol in symbols.values()):
        raise ValueError("a symbol that is no text")
    if (half := next(filter(SURROGATE.search, symbols.values()), None)) is not None:
        raise ValueError(f"the symbol {half!a} has half a character, which no text can contain")
    size = max(symbols, default=-1) + 1
    if not 0 < size <= 1 << 24 or min(symbols) < 0:
        raise ValueError("ids that are not 0 and up")
    return [symbols.get(id, "") for id in range(size)]


def kind_of(symbols: list[str]) -> str:
    """ "char" if all symbols but a few special ones are single characters, else "word"."""
    longer = [symbol for symbol in symbols if len(symbol) > 1 and not symbol.startswith("<")]
    return "word" if longer else "char"
