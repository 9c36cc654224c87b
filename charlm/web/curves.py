"""Curves of trainings as inline SVG: lines that differ in colour and dashes, values on hover and
in a table.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from charlm.storage.curves import TrainingCurve
from charlm.web.page import figure, table

__all__ = ["Line", "curve_panels", "lines_of", "ticks"]

Line = tuple[str, TrainingCurve]
"""What a line is called in the legend, and its points."""

WIDTH, HEIGHT = 380, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 8, 24
"""Size of a picture and of its margins, in units of SVG; about a pixel each on a wide page."""

MOST = 240
"""Points of a line; neighbours of a longer one are averaged."""

ROWS = 12
"""Rows of the table under a picture, and points whose values are shown on hover."""

STYLES = 6
"""Kinds of lines that the style sheet has."""


def lines_of(runs: Mapping[str, Sequence[TrainingCurve]]) -> dict[str, list[Line]]:
    """What belongs into one picture, by its title.

    A single run has its loss and its validation in one picture, several runs have a picture for
    each kind of curve, with a line for each run.
    """
    pictures: dict[str, list[Line]] = {}
    alone = len(runs) == 1
    for run, curves in runs.items():
        for curve in curves:
            both = alone and sum(each.unit == "nats per token" == curve.unit for each in curves) > 1
            title = "loss and validation" if both else curve.name
            pictures.setdefault(title, []).append((curve.name if alone else run, curve))
    return pictures


def curve_panels(runs: Mapping[str, Sequence[TrainingCurve]]) -> str:
    """A panel for each picture of ``lines_of``."""
    order = list(runs) if len(runs) > 1 else ["loss", "validation"]
    panels = (panel(title, lines, order) for title, lines in lines_of(runs).items())
    return f'<div class="grid">{"".join(panels)}</div>'


def panel(title: str, lines: Sequence[Line], order: Sequence[str]) -> str:
    """A picture with its title, its legend and its values; ``order`` gives each line its style."""
    short = [(name, curve.shortened(MOST)) for name, curve in lines]
    styles = [order.index(name) % STYLES if name in order else 0 for name, _ in lines]
    unit = lines[0][1].unit
    several = len(lines) > 1
    spoken = "; ".join(f"{name} {ends(curve)}" if several else ends(curve) for name, curve in lines)
    label = escape(f"{title}, {unit}: {spoken}" if unit else f"{title}: {spoken}")
    legend = legend_of([name for name, _ in lines], styles) if several else ""
    return (
        f'<section class="panel"><h3>{escape(title)} <small>{escape(unit)}</small></h3>{legend}'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(drawing(short, styles))}</svg>"
        f"<details><summary>values of {escape(title)}</summary>{values_table(lines)}</details>"
        "</section>"
    )


def ends(curve: TrainingCurve) -> str:
    """Where a curve begins, and where it ends."""
    return (
        f"from {figure(curve.values[0])} at step {curve.steps[0]:,} "
        f"to {figure(curve.values[-1])} at step {curve.steps[-1]:,}"
    )


def legend_of(names: Sequence[str], styles: Sequence[int]) -> str:
    """Which line is whose."""
    entries = (
        f'<li><svg viewBox="0 0 42 10" aria-hidden="true"><path class="line s{style}" '
        f'd="M0 5H42"/></svg>{escape(name)}</li>'
        for name, style in zip(names, styles, strict=True)
    )
    return f'<ul class="legend">{"".join(entries)}</ul>'


def drawing(lines: Sequence[Line], styles: Sequence[int]) -> Iterator[str]:
    """The axes with their ticks, the lines, and transparent dots that show values on hover."""
    steps = [step for _, curve in lines for step in curve.steps]
    values = [value for _, curve in lines for value in curve.values]
    across, up = ticks(min(steps), max(steps), 5), ticks(min(values), max(values), 5)
    low, high = min(min(values), up[0]), max(max(values), up[-1])
    left, right = min(steps), max(steps)

    def x(step: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (step - left) / max(right - left, 1), 1)

    def y(value: float) -> float:
        share = (value - low) / (high - low) if high > low else 0.5
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share, 1)

    for value in up:
        yield f'<path class="axis" d="M{LEFT} {y(value)}H{WIDTH - RIGHT}"/>'
        yield f'<text x="{LEFT - 6}" y="{y(value) + 4}" text-anchor="end">{brief(value)}</text>'
    yield f'<text x="{LEFT - 6}" y="{HEIGHT - 8}" text-anchor="end">step</text>'
    for step in across:
        yield (f'<text x="{x(step)}" y="{HEIGHT - 8}" text-anchor="middle">{brief(step)}</text>')
    for (_, curve), style in zip(lines, styles, strict=True):
        points = list(zip(map(x, curve.steps), map(y, curve.values), strict=True))
        path = "L".join(f"{across} {height}" for across, height in points)
        yield f'<path class="line s{style}" d="M{path}"/>'
    for (name, curve), style in zip(lines, styles, strict=True):
        for index in spread(len(curve.steps)):
            place = f'cx="{x(curve.steps[index])}" cy="{y(curve.values[index])}"'
            title = f"{name}, step {curve.steps[index]:,}: {figure(curve.values[index])}"
            yield f'<circle class="dot s{style}" {place} r="2.5"/>'
            yield f'<circle class="target" {place} r="9"><title>{escape(title)}</title></circle>'


def ticks(low: float, high: float, most: int) -> list[float]:
    """Up to ``most`` round numbers between ``low`` and ``high``, both included; at least one."""
    span = high - low
    if span <= 0:
        return [low]
    size = 10.0 ** math.floor(math.log10(span / most))
    for step in (size * factor for factor in (1, 2, 5, 10, 20)):
        numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        if len(numbers) <= most:
            break
    return [number * step for number in numbers] or [low]


def brief(value: float) -> str:
    """A number beside an axis."""
    for size, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{name}"
    return f"{value:.6g}" if abs(value) >= 1e-4 or not value else f"{value:.0e}"


def spread(points: int) -> Iterable[int]:
    """The indices of up to ``ROWS`` points, the first and the last among them."""
    most = min(points, ROWS)
    return dict.fromkeys(round(number * (points - 1) / max(most - 1, 1)) for number in range(most))


def values_table(lines: Sequence[Line]) -> str:
    """The values of some steps of each line."""
    rows = {
        f"{name}, step {curve.steps[index]:,}": [curve.values[index]]
        for name, curve in lines
        for index in spread(len(curve.steps))
    }
    return table(["", "value"], rows)
