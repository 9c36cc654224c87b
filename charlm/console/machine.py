"""What ``charlm doctor`` shows."""

from collections.abc import Mapping
from typing import Any

from charlm.console.tables import print_record

__all__ = ["show_machine"]


def show_machine(about: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the facts about this machine, as pairs or as one JSON object."""
    print_record(about, {name: str(value) for name, value in about.items()}, as_json=as_json)
