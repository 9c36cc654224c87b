"""Curves of trainings as a picture in a file, by matplotlib (the extra ``plot``)."""

import io
from collections.abc import Mapping, Sequence

from charlm.errors import CharlmError
from charlm.storage.curves import TrainingCurve
from charlm.web.curves import lines_of

__all__ = ["ENDINGS", "draw_curves"]

ENDINGS = (".png", ".svg", ".pdf")
"""Kinds of pictures that can be written."""

DASHES = ("-", "--", ":", "-.")
"""Lines differ in these beside their colour."""

COLUMNS = 2
INCHES = (5.0, 3.2)
"""Width and height of one of the pictures that make a figure."""


def draw_curves(runs: Mapping[str, Sequence[TrainingCurve]], ending: str) -> bytes:
    """A figure with one picture for each kind of curve, as a file of the kind ``ending``.

    Raises ``CharlmError`` where matplotlib is not installed, and where there is no curve.
    """
    pictures = lines_of(runs)
    if not pictures:
        raise CharlmError(
            f"{' and '.join(runs)} has no curves: its log is empty, as that of an imported run is",
            "write a page: `out=FILE.html`",
        )
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise CharlmError(
            "pictures need matplotlib, which is not installed",
            "pip install -c constraints.txt -e '.[plot]', or write a page: `out=FILE.html`",
        ) from None
    rows = -(-len(pictures) // COLUMNS)
    figure = Figure(figsize=(INCHES[0] * COLUMNS, INCHES[1] * rows), layout="constrained")
    for place, (title, lines) in enumerate(pictures.items(), start=1):
        axes = figure.add_subplot(rows, COLUMNS, place)
        for number, (name, curve) in enumerate(lines):
            dash = DASHES[number % len(DASHES)]
            # A leading underscore would hide a name from the legend.
            axes.plot(curve.steps, curve.values, dash, label=name.lstrip("_"), linewidth=1.4)
        axes.set_title(title.replace("$", r"\$"), loc="left", fontsize="medium")
        axes.set_xlabel("step")
        axes.set_ylabel(lines[0][1].unit)
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend(frameon=False)
    buffer = io.BytesIO()
    # Without a date, so that the same curves make the same file.
    metadata = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(ending, {})
    figure.savefig(buffer, format=ending[1:], dpi=160, metadata=metadata)
    return buffer.getvalue()
