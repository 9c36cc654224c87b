"""The table of ``charlm bench``."""

from dataclasses import asdict

import torch

from charlm.console.streams import print_json
from charlm.inference.speed import PEER, Figure, measure_speed
from charlm.model import native
from charlm.model.limits import Limits, measure_limits

__all__ = ["show_speed"]

GIGA = 1e9


def show_speed(*, as_json: bool) -> None:
    """Print the processor's limits, then each figure as soon as it is measured."""
    limits = measure_limits(torch.get_num_threads())
    if as_json:
        print_json({"type": "limits", "native": native.status(), **asdict(limits)})
    else:
        print_limits(limits)
    for figure in measure_speed(limits):
        if as_json:
            print_json({"type": "figure", **asdict(figure)})
        else:
            print_figure(figure)


def print_limits(limits: Limits) -> None:
    """What the processor can do, and the head of the table."""
    print(f"{limits.threads} thread{'s' * (limits.threads > 1)}; {native.status()}")
    print(f"arithmetic  {limits.products / GIGA:,.0f} GFLOP/s")
    rates = ", ".join(
        f"{rate / GIGA:.0f} of {size / 2**20:g} MiB" for size, rate in limits.reads.items()
    )
    print(f"reading     GB/s: {rates}\n")
    print(f"{'':<34} {'tokens/s':>9}  {'over ' + PEER:>12}  {'of the limit':<16}")


def print_figure(figure: Figure) -> None:
    """One line of the table."""
    print(
        f"{figure.work:<9}{figure.size:<25} {figure.tokens_per_second:>9,.0f}"
        f"  {figure.ratio:>11.1f}x  {figure.share:>4.0%} ({figure.limit})",
        flush=True,
    )
