"""Units that follow a feature of a text, on the screen."""

import sys
from dataclasses import asdict

from charlm.console.figures import print_pairs
from charlm.console.streams import on_one_line, print_json
from charlm.errors import counted
from charlm.explain.search import FoundUnits, UnitMatch

__all__ = ["show_units"]


def show_units(found: FoundUnits, *, as_json: bool) -> None:
    """Print the units that were found, with what chance alone reaches."""
    if as_json:
        print_json(asdict(found))
        return
    chance = found.chance
    print_pairs(
        {
            "feature": on_one_line(found.feature),
            "text": f"{counted(found.tokens, 'token')}; units are chosen on the first half",
            "chance": f"|correlation| up to {chance.first:.3f} on the first half and "
            f"{chance.held_out:.3f} on the second, in 95 % of {counted(chance.shifts, 'shift')} "
            f"of the feature, for the best of {found.series:,} cell and hidden states",
            "verdict": verdict(found),
        }
    )
    sys.stdout.write("\nlayer unit state   first second cost\n")
    for match in found.matches:
        sys.stdout.write(line_of(match) + "\n")
    print_pairs(
        {
            "first": "correlation on the first half",
            "second": "the same unit's on the second half; ? if not beyond chance",
            "cost": "by how many nats per 1,000 tokens the text is predicted worse without the "
            f"unit, ± 95 %; with all units it takes {1000 * found.nll:,.0f}",
        }
    )


def line_of(match: UnitMatch) -> str:
    """One unit in 40 columns."""
    mark, cost = " " if match.confirmed else "?", match.cost.scaled(1000)
    half = (cost.high - cost.low) / 2
    return (
        f"{match.layer:5}{match.unit:5} {match.state:6}{match.correlation:6.2f}"
        f"{match.held_out:6.2f}{mark}{cost.value:5.1f} ±{half:.1f}"
    )


def verdict(found: FoundUnits) -> str:
    """The result in a sentence."""
    best = found.best
    if best is None:
        return "no unit follows the feature beyond chance"
    return (
        f"unit {best.unit} of layer {best.layer} follows it, with a correlation of "
        f"{best.held_out:.2f} on text on which it was not chosen"
    )
