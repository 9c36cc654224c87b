"""What goes on inside a network, on the screen: heat-map, gate statistics, JSON."""

import math
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from charlm.console.figures import print_pair, print_pairs
from charlm.console.shades import HEIGHTS, SHADES, draw_rows, ramp, shade
from charlm.console.streams import print_json, print_named, print_note, result_of, talk
from charlm.errors import ConfigError, counted
from charlm.explain.activations import Explanation, TokensRead
from charlm.explain.statistics import LEFT, RIGHT, means_of_layers

__all__ = ["SHOWN", "show_explanation", "show_saved", "tracked_tokens"]

Result = TypeVar("Result")

SHOWN = 2000
"""Tokens that are drawn at most."""

MOST_BITS = 8
"""Surprisal that is drawn as the darkest shade, in bits."""

SYMBOLS = {
    "i": "input", "f": "forget", "g": "candidate", "o": "output", "r": "reset", "z": "update",
    "n": "candidate", "c": "cell", "h": "hidden",
}  # fmt: skip
"""What stands for an activation in equations, and its name."""


def tracked_tokens(records: Iterable[TokensRead | Result]) -> Result:
    """The last record, a result; those before it are drawn as a bar on a terminal."""
    found: Result = result_of(
        records, {TokensRead: lambda each: ("reading", each.read, each.tokens)}
    )
    return found


def show_explanation(
    records: Iterator[TokensRead | Explanation], gates: Sequence[str] = (), *, as_json: bool = False
) -> None:
    """Draw what ``explain_unit`` yields: a unit under the beginning of a text as soon as that is
    read, and how open the gates of all layers are, once the whole text is.

    ``gates`` are the names of those that are shown, by default all.  Raises ``ConfigError`` for a
    gate that the cell does not have.
    """
    begun = tracked_tokens(records)
    names = named_gates(begun, gates)
    if not as_json:
        draw_unit(begun, names)
    whole = tracked_tokens(chain(records, [begun]))
    rows = [row for row in means_of_layers(whole.statistics) if row["gate"] in names]
    if as_json:
        print_json(record_of(whole, names) | {"statistics": rows})
        return
    show_statistics(rows)
    if len(whole.tokens) > SHOWN:
        print_note(f"drawn: the first {SHOWN:,} of {counted(len(whole.tokens), 'token')}")


def draw_unit(explanation: Explanation, names: Sequence[str]) -> None:
    """Draw the first layer and unit of an explanation under its text, and a legend."""
    (layer, *_), (unit, *_) = explanation.layers, explanation.units
    sys.stdout.write(f"{explanation.cell}, layer {layer}, unit {unit}\n\n")
    most = {name: highest(explanation, name) for name in names}
    rows = {label(name): marks_of(explanation, name, most[name]) for name in names}
    rows["surprise"] = shade(explanation.surprisal / math.log(2), 0, MOST_BITS, SHADES)
    for line in draw_rows(explanation.tokens, rows, shutil.get_terminal_size().columns):
        sys.stdout.write(line + "\n")
    print_pairs(legend(most))
    sys.stdout.flush()  # a long text is still read for the table


def show_saved(explanation: Explanation, path: Path) -> None:
    """Say what was written to a file."""
    shape = next(iter(explanation.gates.values())).shape
    what = f"{', '.join(explanation.gates)}: {' x '.join(map(str, shape))} (tokens, layers, units)"
    print_named(talk(), "saved in", f"{path}: {what}")


def label(name: str) -> str:
    """What the row of an activation is called."""
    return {"candidate": "cand.", "modulated": "mod. h"}.get(name, name.removesuffix("_gate"))


def named_gates(explanation: Explanation, gates: Sequence[str]) -> list[str]:
    """The names of activations that are shown: all, or those that ``gates`` name, like "forget",
    "forget_gate" or "f".  Raises ``ConfigError`` for others.
    """
    known = {name.removesuffix("_gate"): name for name in explanation.gates}
    names = {gate: known.get(SYMBOLS.get(gate, gate.removesuffix("_gate"))) for gate in gates}
    for gate, name in names.items():
        if name is None:
            raise ConfigError(
                f"`gate`: the cell {explanation.cell} has no {gate}",
                f"choose from: {', '.join(explanation.gates)}",
            )
    return [name for name in explanation.gates if not gates or name in names.values()]


def highest(explanation: Explanation, name: str) -> float:
    """The end of the scale on which an activation is drawn: 1, or its largest without bounds."""
    if name not in ("cell", "modulated"):
        return 1.0
    return max(float(np.abs(explanation.gates[name][:, 0, 0]).max()), 1e-3)


def marks_of(explanation: Explanation, name: str, most: float) -> list[str]:
    """A character for each token that is drawn: a shade for a gate, a height for the others."""
    values = explanation.gates[name][:, 0, 0]
    if name.endswith("_gate"):
        return shade(values, 0, most, SHADES)
    return shade(values, -most, most, HEIGHTS)


def legend(most: Mapping[str, float]) -> dict[str, str]:
    """What the characters of each row mean."""
    shades, heights = ramp(SHADES), ramp(HEIGHTS)
    ends = np.linspace(0, 1, len(shades) + 1)[1:]
    steps = ", ".join(f"{mark} to {end:g}" for mark, end in zip(shades[1:], ends[1:], strict=True))
    found = {}
    if any(name.endswith("_gate") for name in most):
        found["gates"] = f"blank to {ends[0]:g}, {steps}"
    for name, end in most.items():
        if not name.endswith("_gate"):
            low, middle, high = heights[0], heights[3:5], heights[-1]
            found[label(name)] = f"{low} {-end:.2g}, {middle} about 0, {high} {end:.2g}"
    found["surprise"] = f"the shades of gates, {shades[-1]} from {MOST_BITS * ends[-2]:g} bits on"
    return found


def show_statistics(rows: Sequence[Mapping[str, Any]]) -> None:
    """A line for each gate of each layer: how open it is and how often it is saturated."""
    if rows:
        about = f"of all tokens and units, the mean, and the shares below {LEFT} and above {RIGHT}"
        print_pair("table", about)
        sys.stdout.write("\nlayer  gate    mean    left   right\n")
    for row in rows:
        sys.stdout.write(
            f"{row['layer']:5}  {label(row['gate']):7}{row['openness']:5.2f}"
            f"{row['left']:8.1%}{row['right']:8.1%}\n"
        )


def record_of(explanation: Explanation, names: Sequence[str]) -> dict[str, Any]:
    """What ``--json`` prints: lists with an item for each token, of the unit that is drawn."""
    return {
        "text": explanation.text,
        "cell": explanation.cell,
        "layer": explanation.layers[0],
        "unit": explanation.units[0],
        "tokens": explanation.tokens,
        "surprisal": explanation.surprisal.tolist(),
        "entropy": explanation.entropy.tolist(),
        "likeliest": explanation.likeliest,
        "following": explanation.following,
        "gates": {name: explanation.gates[name][:, 0, 0].tolist() for name in names},
        "initial": {name: float(explanation.initial[name][0, 0]) for name in names},
    }
