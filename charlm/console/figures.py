"""Figures under their names, for people."""

import sys
from collections.abc import Mapping

__all__ = ["print_pairs"]


def print_pairs(pairs: Mapping[str, str]) -> None:
    """Two columns on stdout."""
    width = max(11, *map(len, pairs))
    for name, value in pairs.items():
        sys.stdout.write(f"{name:<{width}} {value}\n")
