"""Names of options and commands that do not exist, and those that are meant."""

import difflib
from collections.abc import Iterable

__all__ = ["OPTIONS", "meant_command"]

OPTIONS = {
    ("score", "--context"): "--reset never|document|line",  # carried is now never
    ("rescore", "--format"): "--input-format",  # --format is for what is written
}
"""(command, old option) -> the option that took its place, with its values where they changed."""

COMMANDS = {
    "sample": "generate",
    "write": "generate",
    "gen": "generate",
    "eval": "perplexity",
    "evaluate": "perplexity",
    "ppl": "perplexity",
    "test": "perplexity",
    "surprisal": "score",
    "fit": "train",
    "learn": "train",
    "resume": "train",
    "diff": "compare",
    "show": "info",
    "describe": "info",
    "benchmark": "bench",
    "datasets": "corpora",
    "download": "corpora fetch",
    "fetch": "corpora fetch",
    "extract": "decompress",
    "version": "--version",
    "help": "--help",
}
"""The name that other programs use -> the command or option that does it here."""

LIKENESS = 0.7
"""Least likeness (``difflib``'s ratio, 0 to 1) at which a name is taken for a misspelt one.
Two letters swapped in a word of five give 0.8; ``serve`` and ``score`` have 0.6."""


def meant_command(given: str, known: Iterable[str]) -> str | None:
    """The command that somebody who typed ``given`` may have meant, or None."""
    names = {name: name for name in known}
    meant = COMMANDS | names  # a real command is never taken for something else
    near = difflib.get_close_matches(given, meant, n=1, cutoff=LIKENESS)
    return meant[near[0]] if near else None
