"""An explanation in a notebook: a text in the colours of its surprisal, and how open gates are."""

import math
from html import escape
from typing import TYPE_CHECKING

from charlm.explain.statistics import means_of_layers
from charlm.notebook import html_table

if TYPE_CHECKING:
    from charlm.explain.activations import Explanation

__all__ = ["as_html"]

SHOWN = 3000
"""Tokens that are shown at most."""

MOST_BITS = 8
"""Surprisal in bits that has the strongest colour."""


def as_html(explanation: "Explanation") -> str:
    """Elements for a notebook, with the values on hover and in a table; they need no script."""
    found = zip(explanation.tokens[:SHOWN], explanation.surprisal / math.log(2), strict=False)
    text = "".join(coloured(token, bits) for token, bits in found)
    left_out = len(explanation.tokens) - SHOWN
    more = f"<p>{left_out:,} more tokens are not shown.</p>" if left_out > 0 else ""
    rows = [[*row.values()] for row in means_of_layers(explanation.statistics)]
    names = ("layer", "gate", "mean openness", "shut (below 0.1)", "open (above 0.9)")
    table = html_table("means over the text", rows, names) if rows else ""  # no gates: a plain cell
    style = "white-space:pre-wrap;font-family:monospace;line-height:1.7"
    return (
        f"<p>Darker characters were more surprising, up to {MOST_BITS} bits.</p>"
        f'<div style="{style}">{text}</div>{more}{table}'
    )


def coloured(token: str, bits: float) -> str:
    """A token on the colour of its surprisal."""
    share = 0.6 * min(bits / MOST_BITS, 1)
    shown = escape(token).replace("\n", "\u21b5\n")
    style = f"background:rgb(214 96 20 / {share:.2f})"
    return f'<span style="{style}" title="{bits:.2f} bits">{shown}</span>'
