"""Whether a writing session can be shown here, before a model is loaded for it."""

import importlib.util
import os
import shutil
import sys

from charlm.errors import CharlmError, ConfigError

__all__ = ["NARROWEST", "SHORTEST", "check_terminal"]

NARROWEST, SHORTEST = 20, 6
"""The smallest terminal, in columns and rows."""


def check_terminal() -> None:
    """Raise ``ConfigError`` without a terminal that is large enough, and ``CharlmError`` without
    prompt_toolkit.
    """
    if importlib.util.find_spec("prompt_toolkit") is None:
        raise CharlmError(
            "writing in the terminal needs prompt_toolkit, which is not installed",
            "pip install -c constraints.txt -e '.[write]'",
        )
    closed = [name for name in ("stdin", "stdout") if not getattr(sys, name).isatty()]
    if closed or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        what = f"{closed[0]} is none" if closed else "TERM names none that can be drawn on"
        raise ConfigError(
            f"a writing session needs a terminal, and {what}",
            "run it in a terminal, or let the model write alone: charlm generate RUN",
        )
    columns, rows = shutil.get_terminal_size()
    if columns < NARROWEST or rows < SHORTEST:
        raise ConfigError(
            f"the terminal has {columns} columns and {rows} rows; writing needs {NARROWEST} and "
            f"{SHORTEST}",
            "make it larger",
        )
