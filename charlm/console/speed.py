"""The table of ``charlm bench``."""

from collections.abc import Iterable
from dataclasses import asdict

from charlm.console.streams import print_json
from charlm.errors import counted
from charlm.inference.speed import Speed
from charlm.inference.timing import PEER
from charlm.model import native
from charlm.model.limits import Limits

__all__ = ["show_speeds"]

GIGA = 1e9


def show_speeds(records: Iterable[Limits | Speed], *, as_json: bool) -> None:
    """Print the processor's limits, then each speed as soon as it is measured."""
    for record in records:
        if isinstance(record, Limits):
            if as_json:
                print_json({"type": "limits", "native": native.status(), **asdict(record)})
            else:
                print_limits(record)
        elif as_json:
            print_json({"type": "figure", **asdict(record)})
        else:
            print_speed(record)


def print_limits(limits: Limits) -> None:
    """Print what the processor can do, and the head of the table."""
    print(f"{counted(limits.threads, 'thread')}; {native.status()}")
    print(f"arithmetic  {limits.products / GIGA:,.0f} GFLOP/s")
    rates = ", ".join(
        f"{rate / GIGA:.0f} of {size / 2**20:g} MiB" for size, rate in limits.reads.items()
    )
    print(f"reading     GB/s: {rates}\n")
    print(f"{'':<34} {'tokens/s':>9}  {'over ' + PEER:>12}  {'of the limit':<16}")


def print_speed(speed: Speed) -> None:
    """Print one line of the table."""
    print(
        f"{speed.work:<9}{speed.size:<25} {speed.tokens_per_second:>9,.0f}"
        f"  {speed.ratio:>11.1f}x  {speed.share:>4.0%} ({speed.limit})",
        flush=True,
    )
