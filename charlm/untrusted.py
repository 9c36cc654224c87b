"""Reading files that anybody may have written: bounded in memory and time, never a device.

Whatever is wrong with the content is a ``ValueError``, whatever is wrong with the system an
``OSError``; the callers know what the file is and turn both into errors of the project.
"""

import json
import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["LARGEST_TOML", "MOST_STRUCTURE", "parse_json", "parse_toml", "read_file"]

LARGEST_TOML = 1 << 19
"""Bytes of a TOML file at most; settings take some kilobytes, and this a second."""

MOST_PARTS = 16
"""Parts of a dotted key at most.  tomllib takes time and memory that grow with their square."""

PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
DOTTED = re.compile(
    rf"(?:^[ \t]*+\[*+|[{{,])[ \t]*+(?:{PART}\.[ \t]*+){{{MOST_PARTS}}}", re.MULTILINE
)
"""A key with too many parts: at the beginning of a line, in brackets, or in an inline table."""

WIDEST = 64
"""Bits of a whole number at most.  TOML has no limit, and Python cannot print 4,300 digits."""

MOST_STRUCTURE = 1 << 20
"""Strings and other signs of a JSON text at most, what is in the strings not counted.  Each takes
up to 64 bytes of memory.
"""

STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"[\s:,]*+', re.DOTALL)


def read_file(path: Path, limit: int) -> bytes:
    """The content of a file of at most ``limit`` bytes.

    Links are not followed, and neither a pipe nor a device is read.  Raises ``OSError``, and
    ``ValueError`` for what is no file or larger.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{path.name} is no file, but a folder, a pipe or a device")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(min(found.st_size, limit) + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise ValueError(f"{path.name} is larger than {limit:,} bytes")
    return content


def parse_toml(content: bytes | str) -> dict[str, Any]:
    """The tables of a TOML text.  Raises ``ValueError``."""
    if len(content) > LARGEST_TOML:
        raise ValueError(f"it is larger than {LARGEST_TOML:,} bytes")
    text = content if isinstance(content, str) else content.decode("utf-8")
    if DOTTED.search(text):
        raise ValueError(f"a key has more than {MOST_PARTS} parts")
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    refuse_wide(tables)
    return tables


def refuse_wide(tables: dict[str, Any]) -> None:
    """Raise ``ValueError`` for a whole number of more than ``WIDEST`` bits."""
    left: list[Any] = [tables]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, int) and value.bit_length() > WIDEST:
            raise ValueError(f"a whole number has more than {WIDEST} bits")


def parse_json(
    text: str | bytes,
    *,
    structure: int = MOST_STRUCTURE,
    decode: Callable[[str], Any] = json.loads,
) -> Any:
    """The value of a JSON text, in UTF-8 if it is bytes.

    ``structure`` limits how many strings and other signs there are.  Raises ``ValueError``.
    """
    text = text if isinstance(text, str) else text.decode("utf-8")
    if len(text) > structure:
        quotes = text.count('"') - text.count('\\"')
        if quotes > 2 * structure or len(STRING.sub('"', text)) > structure:
            raise ValueError(f"it holds more than {structure:,} values")
    try:
        return decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
