"""``charlm explain``."""

import re
from pathlib import Path
from typing import Any

import click

from charlm.cli.frame import Command
from charlm.cli.shared import (
    device_option,
    encoding_option,
    json_option,
    run_argument,
    step_option,
)

__all__ = ["command"]


def numbered(_: click.Context, option: click.Parameter, text: str | None) -> list[int] | None:
    """The numbers of a text like "3,17" or "0-63", each once.  Raises ``BadParameter``."""
    if text is None:
        return None
    found: dict[int, None] = {}
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,6})(?:-(\d{1,6}))?\s*", part)
        if not ends:
            raise click.BadParameter(f"{part!r} is no number and no range like 0-63", param=option)
        found |= dict.fromkeys(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    return list(found)


@click.command("explain", cls=Command, short_help="Show gates, units and memory of a network.")
@run_argument
@click.argument("text", metavar="TEXT|FILE|-")
@click.option(
    "--layer", type=click.IntRange(0), metavar="N",
    help="Which layer is shown; 0 is the lowest.  [default: the last]",
)  # fmt: skip
@click.option(
    "--unit", type=click.IntRange(0), metavar="N",
    help="Which unit of the layer is shown, from 0.  [default: the one that varies most]",
)  # fmt: skip
@click.option(
    "--gate", "gates", multiple=True, metavar="NAME",
    help="Show only this, like forget_gate, cell or hidden.  May be given repeatedly.",
)  # fmt: skip
@click.option(
    "--npz", type=click.Path(path_type=Path), metavar="FILE",
    help="Write the arrays of all layers and units, or of --layer and --unit, instead; "
    "numpy.load reads them.",
)  # fmt: skip
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE",
    help="Write a page with every unit at every step instead.",
)  # fmt: skip
@click.option(
    "--units", metavar="N,N-N", callback=numbered,
    help="Keep only these units with --html or --npz, like 3,17 or 0-63.  [default: all]",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file of --html or --npz if it exists.")
@click.option(
    "--find", metavar="FEATURE",
    help="Find the units that follow line-position, quotes, brackets, indentation, word-length, "
    "capitals, or re:PATTERN, what a regular expression matches.",
)  # fmt: skip
@encoding_option
@step_option
@device_option
@json_option("one JSON object")
def command(
    run: Path,
    text: str,
    layer: int | None,
    unit: int | None,
    gates: tuple[str, ...],
    npz: Path | None,
    html: Path | None,
    force: bool,
    units: list[int] | None,
    find: str | None,
    encoding: str | None,
    step: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Show what goes on inside a recurrent network while it reads a text.

    Under the text run the gates, the cell state and the hidden state of one unit as shades; a table
    says how open the gates of each layer are and how often they are saturated.  --find lists the
    units that follow a feature of the text, and how much worse it is predicted without each.
    --html writes a page on all of them, to be opened in a browser.
    """
    from charlm.console.explanations import show_explanation, show_saved, tracked_tokens
    from charlm.console.units import show_units
    from charlm.explain.activations import explain_text, explain_unit, save_arrays
    from charlm.explain.reading import open_text, read_text
    from charlm.explain.search import find_units
    from charlm.inference.loading import load_run

    check_use(find=find, unit=unit, units=units, gates=gates, npz=npz, html=html)
    loaded = load_run(run, step=step, device=device)
    read = read_text(loaded.tokenizer, open_text(loaded, text, encoding))
    if find is not None:
        show_units(tracked_tokens(find_units(loaded, read, find, layer)), as_json=as_json)
    elif target := html or npz:
        from charlm.web.reports import save_page

        layers = None if layer is None else [layer]
        records = explain_text(loaded, read, layers, units if unit is None else [unit])
        save = save_page if html else save_arrays
        show_saved(tracked_tokens(save(records, target, force=force)), target)
    else:
        explanation = tracked_tokens(explain_unit(loaded, read, layer, unit))
        show_explanation(explanation, gates, as_json=as_json)


def check_use(**given: Any) -> None:
    """Raise ``UsageError`` for options that do not go together."""
    files = [name for name in ("html", "npz") if given[name] is not None]
    idle = [name for name in ("unit", "units", "gates", *files) if given[name] not in (None, ())]
    if given["find"] is not None and idle:
        raise click.UsageError(f"--{idle[0].removesuffix('s')} does nothing with --find")
    if len(files) == 2:
        raise click.UsageError("give either --html or --npz")
    if files and given["gates"]:
        raise click.UsageError(f"--gate does nothing with --{files[0]}, which holds all of them")
    if given["units"] is not None and not files:
        raise click.UsageError("--units is for --html and --npz; --unit is shown here")
    if given["units"] is not None and given["unit"] is not None:
        raise click.UsageError("give either --unit or --units")
