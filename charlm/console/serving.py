"""What ``charlm serve`` says when it begins and when it is to end."""

from collections.abc import Callable, Sequence

from charlm.console.streams import print_named, talk
from charlm.errors import counted

__all__ = ["announced", "show_serving"]


def show_serving(url: str, names: Sequence[str]) -> None:
    """Say which models are served where."""
    print_named(talk(), "serving", f"{', '.join(names)} at {url}; Ctrl-C ends it")


def announced(stop: Callable[[], str | None], grace: float) -> Callable[[], str | None]:
    """``stop``, which says on a terminal that the server ends when it first returns something, and
    that running requests get the seconds of ``grace``.
    """
    said: list[str] = []

    def check() -> str | None:
        name = stop()
        if name and not said and (console := talk()).is_terminal:
            said.append(name)
            console.print()  # the terminal has just echoed ^C
            left = counted(round(grace), "second")
            print_named(console, "ending", f"running requests have {left}; Ctrl-C ends them now")
        return name

    return check
