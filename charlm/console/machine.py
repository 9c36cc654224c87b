"""What ``charlm doctor`` shows."""

from charlm.console.figures import print_pairs
from charlm.console.streams import print_json
from charlm.inference.machine import describe_machine

__all__ = ["show_machine"]


def show_machine(*, as_json: bool) -> None:
    """Print the facts about this machine, as pairs or as one JSON object."""
    about = describe_machine()
    if as_json:
        print_json(about)
    else:
        print_pairs({name: str(value) for name, value in about.items()})
