"""Records as small tables in HTML, which notebooks show (``_repr_html_``)."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["MOST_ROWS", "html_table"]

MOST_ROWS = 200
"""Rows of a table that are shown; the number of the others is told."""


def html_table(
    title: str, rows: Iterable[Sequence[object]], names: Sequence[str] = (), most: int = MOST_ROWS
) -> str:
    """A table with a caption and, if there are ``names``, a header; all text is escaped.

    Numbers are shown to the right, with four decimals where they have some.
    """
    every = list(rows)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in every[:most])
    left = len(every) - most
    rest = f"<caption style='caption-side:bottom'>and {left:,} more</caption>" if left > 0 else ""
    header = f"<thead><tr>{head}</tr></thead>" if names else ""
    # A table has one caption: the title stands above it.
    return f"<div><b>{escape(title)}</b></div><table>{rest}{header}<tbody>{body}</tbody></table>"


def cell(value: object) -> str:
    """A cell of a table."""
    if isinstance(value, int | float):
        shown = f"{value:,.4f}" if isinstance(value, float) else f"{value:,}"
        return f"<td style='text-align:right'>{shown}</td>"
    return f"<td style='text-align:left;white-space:pre-wrap'>{escape(str(value))}</td>"
