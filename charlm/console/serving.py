"""What ``charlm serve`` says when it begins."""

from collections.abc import Sequence

from charlm.console.streams import print_named, talk

__all__ = ["show_serving"]


def show_serving(url: str, names: Sequence[str]) -> None:
    """Say which models are served where."""
    print_named(talk(), "serving", f"{', '.join(names)} at {url}; Ctrl-C ends it")
