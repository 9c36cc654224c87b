"""``charlm explain``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.frame import Command
from charlm.cli.shared import (
    device_option,
    encoding_option,
    json_option,
    run_argument,
    step_option,
)

if TYPE_CHECKING:
    from charlm.explain.reading import TokenizedText
    from charlm.inference.loading import Loaded

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
@click.option(
    "--memory", is_flag=True,
    help="Show how far back predictions depend on the text: by gradients and by replaced tokens.",
)  # fmt: skip
@click.option(
    "--reach", type=click.IntRange(2), default=100, metavar="N",
    help="--memory: tokens to go back.",
)  # fmt: skip
@click.option(
    "--against", metavar="CELL[,CELL...]",
    help="--memory: train networks of these cells (rnn, gru, ...) of one size with RUN, on its "
    "text and for its steps, into RUN-CELL, and show theirs too.",
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
    memory: bool,
    reach: int,
    against: str | None,
    encoding: str | None,
    step: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Show what goes on inside a recurrent network while it reads a text.

    Under the text run the gates, the cell state and the hidden state of one unit as shades; a table
    says how open the gates of each layer are and how often they are saturated.  --find lists the
    units that follow a feature of the text, and how much worse it is predicted without each;
    --memory shows how far back predictions reach.
    """
    from charlm.explain.reading import open_text, read_text
    from charlm.inference.loading import load_run

    check_use(find, memory, {"--unit": unit, "--gate": gates, "--npz": out, "--against": against})
    loaded = load_run(run, step=step, device=device)
    read = read_text(loaded.tokenizer, open_text(loaded, text, encoding))
    if find is not None:
        find_units(loaded, read, find, layer, as_json=as_json)
    elif memory:
        measure_memory(loaded, read, against, reach, as_json=as_json)
    else:
        explain(loaded, read, layer, unit, gates, out, as_json=as_json)


def find_units(
    loaded: "Loaded", text: "TokenizedText", feature: str, layer: int | None, *, as_json: bool
) -> None:
    """``--find``."""
    from charlm.console.explanations import tracked_tokens
    from charlm.console.units import show_units
    from charlm.explain import search

    show_units(tracked_tokens(search.find_units(loaded, text, feature, layer)), as_json=as_json)


def measure_memory(
    loaded: "Loaded", text: "TokenizedText", against: str | None, reach: int, *, as_json: bool
) -> None:
    """``--memory``."""
    from charlm.console.memory import show_memory, tracked_memories
    from charlm.explain.rivals import compare_memory

    cells = against.split(",") if against else []
    found = tracked_memories(compare_memory(loaded, text, cells, reach))
    show_memory(found, as_json=as_json)


def explain(
    loaded: "Loaded",
    text: "TokenizedText",
    layer: int | None,
    unit: int | None,
    gates: tuple[str, ...],
    out: Path | None,
    *,
    as_json: bool,
) -> None:
    """Draw one unit, or write the arrays of all."""
    from charlm.console.explanations import show_explanation, show_saved, tracked_tokens
    from charlm.explain.activations import explain_text, explain_unit, save_arrays

    if out:
        layers, units = (None if number is None else [number] for number in (layer, unit))
        records = explain_text(loaded, text, layers, units)
        show_saved(tracked_tokens(save_arrays(records, out)), out)
    else:
        explanation = tracked_tokens(explain_unit(loaded, text, layer, unit))
        show_explanation(explanation, gates, as_json=as_json)


def check_use(find: str | None, memory: bool, others: dict[str, Any]) -> None:
    """Raise ``UsageError`` for options that do not go together."""
    if find is not None and memory:
        raise click.UsageError("--find and --memory are two questions: ask one at a time")
    given = [name for name, value in others.items() if value not in (None, ())]
    for name in given:
        if name == "--against" and not memory:
            raise click.UsageError("--against goes with --memory only")
        if name != "--against" and (memory or find is not None):
            raise click.UsageError(f"{name} does nothing with {'--memory' if memory else '--find'}")
    if {"--gate", "--npz"} <= set(given):
        raise click.UsageError("--gate does nothing with --npz, which holds all of them")
