"""What ``charlm doctor`` shows."""

from collections.abc import Mapping
from typing import Any

from charlm.console.figures import print_pairs
from charlm.console.streams import print_json

__all__ = ["show_machine"]


def show_machine(about: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the facts about this machine, as pairs or as one JSON object."""
    if as_json:
        print_json(about)
    else:
        print_pairs({name: str(value) for name, value in about.items()})
