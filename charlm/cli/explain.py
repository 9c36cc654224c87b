"""``charlm explain``."""

from pathlib import Path

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
    "--npz", "out", type=click.Path(path_type=Path), metavar="FILE",
    help="Write the arrays of all layers and units, or of --layer and --unit, instead; "
    "numpy.load reads them.",
)  # fmt: skip
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
    out: Path | None,
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
    """
    from charlm.console.explanations import show_explanation, show_saved, tracked_tokens
    from charlm.console.units import show_units
    from charlm.explain.activations import explain_text, explain_unit, save_arrays
    from charlm.explain.reading import open_text, read_text
    from charlm.explain.search import find_units
    from charlm.inference.loading import load_run

    check_use(find=find, unit=unit, gates=gates, out=out)
    loaded = load_run(run, step=step, device=device)
    read = read_text(loaded.tokenizer, open_text(loaded, text, encoding))
    if find is not None:
        show_units(tracked_tokens(find_units(loaded, read, find, layer)), as_json=as_json)
    elif out:
        layers, units = (None if number is None else [number] for number in (layer, unit))
        records = explain_text(loaded, read, layers, units)
        show_saved(tracked_tokens(save_arrays(records, out)), out)
    else:
        explanation = tracked_tokens(explain_unit(loaded, read, layer, unit))
        show_explanation(explanation, gates, as_json=as_json)


def check_use(
    *, find: str | None, unit: int | None, gates: tuple[str, ...], out: Path | None
) -> None:
    """Raise ``UsageError`` for options that do not go together."""
    others = {"--unit": unit is not None, "--gate": bool(gates), "--npz": out is not None}
    for name, given in others.items():
        if find is not None and given:
            raise click.UsageError(f"{name} does nothing with --find")
    if out is not None and gates:
        raise click.UsageError("--gate does nothing with --npz, which holds all of them")
