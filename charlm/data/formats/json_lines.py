"""JSON Lines that every reader splits into the lines that were written."""

import json
import re
from typing import Any

__all__ = ["json_line"]

UNSAFE = re.compile("[\x85\u2028\u2029\ud800-\udfff]")
"""Characters that some readers take for the end of a line (Python's ``str.splitlines``,
JavaScript), and halves of surrogate pairs, which UTF-8 cannot write."""


def json_line(record: Any) -> str:
    """A value as one line of JSON with its line break; only what could do harm is escaped."""
    text = json.dumps(record, ensure_ascii=False)
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
