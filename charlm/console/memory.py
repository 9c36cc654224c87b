"""How far a network remembers, on the screen."""

import math
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from typing import Any

from charlm.console.explanations import tracked_tokens
from charlm.console.figures import print_pairs
from charlm.console.shades import SHADES, ramp
from charlm.console.streams import on_one_line, print_json
from charlm.console.training import show_training
from charlm.errors import counted
from charlm.explain.activations import TokensRead
from charlm.explain.memory import Memory
from charlm.inference.scoring.uncertainty import Estimate

__all__ = ["show_memory", "tracked_memories"]

DECADES = 5
"""Powers of ten between the longest bar and none."""

FIGURES = 24
"""Columns of the figures beside the bars."""


def tracked_memories(records: Iterable[Any]) -> list[Memory]:
    """The memories among the records; reading is drawn as a bar, and trainings as they go."""
    found = []
    for reading, group in groupby(records, lambda each: isinstance(each, TokensRead | Memory)):
        if reading:
            found.append(tracked_tokens(group))
        else:
            show_training(group, ending=False)
    return found


def show_memory(memories: Sequence[Memory], *, as_json: bool) -> None:
    """Print the curves of each network, all on one scale."""
    if as_json:
        print_json({"networks": [record_of(each) for each in memories]})
        return
    width = max(4, (shutil.get_terminal_size().columns - FIGURES) // 2)
    steepest = max(each.gradient[0].value for each in memories)
    largest = max(each.change[0].value for each in memories)
    for memory in memories:
        print_pairs({memory.cell: on_one_line(memory.name)})
        sys.stdout.write(f"\n   k  {'gradient':<{width + 9}}change\n")
        for lag, gradient, change in zip(memory.lags, memory.gradient, memory.change, strict=True):
            left, right = bar(gradient, steepest, width), bar(change, largest, width)
            line = f"{lag:4}  {gradient.value:7.1e} {left:<{width}} {change.value:7.1e} {right}"
            sys.stdout.write(line.rstrip() + "\n")
        sys.stdout.write("\n")
    marks = ramp(SHADES)
    print_pairs(
        {
            **{f"{each.cell} below": horizons(each) for each in memories},
            "k": f"tokens back, 1 is the last; {counted(memories[0].places, 'prediction')}",
            "gradient": "norm of the gradient of a prediction's nll with respect to the state "
            "before that token, the geometric mean",
            "change": "nats by which the prediction changes if that token is another, the mean",
            "bars": f"from 1e-{DECADES} of the largest; {marks[-1]} up to the lower end of the "
            f"95 % interval, {marks[2]} to the upper",
        }
    )


def bar(estimate: Estimate, most: float, width: int) -> str:
    """A bar of ``width`` columns for ``most``, on a logarithmic scale, its end the interval."""
    marks = ramp(SHADES)
    low, high = (columns(end, most, width) for end in (estimate.low, estimate.high))
    return marks[-1] * low + marks[2] * (high - low)


def columns(value: float, most: float, width: int) -> int:
    """How long the bar of a value is."""
    decades = math.log10(value / most) if value > 0 else -math.inf
    return round(width * min(max(decades / DECADES + 1, 0.0), 1.0))


def horizons(memory: Memory) -> str:
    """From where on the curves are below a hundredth of their first values."""
    ends = (memory.gradient_horizon, memory.change_horizon)
    shown = [f"k = {end}" if end else f"nowhere up to {memory.lags[-1]}" for end in ends]
    return f"1 % of k = 1: gradient {shown[0]}, change {shown[1]}"


def record_of(memory: Memory) -> dict[str, Any]:
    """A memory for ``--json``."""
    ends = {"gradient_horizon": memory.gradient_horizon, "change_horizon": memory.change_horizon}
    return asdict(memory) | ends
