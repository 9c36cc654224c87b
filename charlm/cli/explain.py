"""``charlm explain``."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from charlm.cli.frame import Command, given_among
from charlm.cli.shared import (
    FILE,
    device_option,
    encoding_option,
    json_option,
    run_argument,
    step_option,
)

if TYPE_CHECKING:
    from charlm.explain.reading import TokenizedText
    from charlm.inference.loading import Loaded


def numbered(_: click.Context, option: click.Parameter, text: str | None) -> list[int] | None:
    """The numbers of a text like "3,17" or "0-63", each once.  Raises ``BadParameter``."""
    if text is None:
        return None
    found: dict[int, None] = {}
    for part in text.split(","):
        ends = re.fullmatch(r"\s*(\d{1,6})(?:-(\d{1,6}))?\s*", part)
        if not ends or int(ends[1]) > int(ends[2] or ends[1]):
            raise click.BadParameter(f"{part!r} is no number and no range like 0-63", param=option)
        found |= dict.fromkeys(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    return list(found)


QUESTIONS = ("find", "memory", "html", "npz")
"""Options that ask for something else than a heat-map, of which one is asked at a time."""

GOES_WITH = {
    "unit": ("", "html", "npz"),
    "units": ("html", "npz"),
    "gate": ("",),
    "against": ("memory",),
    "reach": ("memory",),
    "as_json": ("", "find", "memory"),
}
"""Options, and the questions with which they do something; "" is the heat-map."""


@click.command("explain", cls=Command, short_help="Show gates, units and memory of a network.")
@run_argument
@click.argument("text", metavar="TEXT|FILE|-")
@click.option(
    "--layer", type=click.IntRange(0), metavar="N",
    help="Which layer is shown; 0 is the lowest.  [default: the last; all with --html and --npz]",
)  # fmt: skip
@click.option(
    "--unit", type=click.IntRange(0), metavar="N",
    help="Which unit of the layer is shown, from 0.  [default: the one that varies most]",
)  # fmt: skip
@click.option(
    "--gate", multiple=True, metavar="NAME",
    help="Show only this: input, forget, candidate, output (or i, f, g, o), cell, hidden, or what "
    "another cell has.  May be given repeatedly.",
)  # fmt: skip
@click.option(
    "--html", type=FILE, metavar="FILE",
    help="Write a page with every unit at every step, for a browser, instead.",
)  # fmt: skip
@click.option(
    "--npz", type=FILE, metavar="FILE",
    help="Write the arrays of all layers and units instead; numpy.load reads them.",
)  # fmt: skip
@click.option(
    "--units", metavar="N,N-N", callback=numbered,
    help="Keep only these units with --html or --npz, like 3,17 or 0-63.  [default: all]",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file of --html or --npz.")
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
    "--reach", type=click.IntRange(2), metavar="N",
    help="--memory: tokens to go back.  [default: 100]",
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
    run: Path, text: str, step: int | None, device: str, encoding: str | None, **how: Any
) -> None:
    """Show what goes on inside a recurrent network while it reads a text.

    Under the text run the gates, the cell state and the hidden state of one unit as shades; a table
    says how open the gates of each layer are and how often they are saturated.  --find lists the
    units that follow a feature of the text, and how much worse it is predicted without each;
    --memory shows how far back predictions reach; --html writes a page for a browser.
    """
    from charlm.explain.reading import open_text, read_text
    from charlm.inference.loading import load_run

    question = check_use()
    loaded = load_run(run, step=step, device=device)
    answer(question, loaded, read_text(loaded.tokenizer, open_text(loaded, text, encoding)), **how)


def check_use() -> str:
    """The question that is asked.  Raises ``UsageError`` for two, and for options that do nothing
    with it.
    """
    asked, given = given_among(QUESTIONS), given_among(GOES_WITH)
    if len(asked) > 1:
        names = " and ".join(f"--{name}" for name in asked)
        raise click.UsageError(f"{names} are several questions: ask one at a time")
    if {"unit", "units"} <= set(given):
        raise click.UsageError("--unit and --units contradict each other: give one of them")
    question = asked[0] if asked else ""
    for name in given:
        if question not in GOES_WITH[name]:
            others = " or ".join(f"--{each}" for each in GOES_WITH[name])
            end = f"does nothing with --{question}" if question else f"goes with {others} only"
            raise click.UsageError(f"--{name.removeprefix('as_')} {end}")
    return question


def answer(question: str, loaded: "Loaded", text: "TokenizedText", **how: Any) -> None:
    """Answer a question of ``QUESTIONS``, or draw a heat-map."""
    from charlm.console.explanations import SHOWN, show_explanation, tracked_tokens
    from charlm.explain.activations import explain_unit

    layer, as_json = how["layer"], how["as_json"]
    if question == "find":
        from charlm.console.units import show_units
        from charlm.explain.search import find_units

        show_units(tracked_tokens(find_units(loaded, text, how["find"], layer)), as_json=as_json)
    elif question == "memory":
        from charlm.console.memory import show_memory, tracked_memories
        from charlm.explain.rivals import compare_memory

        cells = how["against"].split(",") if how["against"] else []
        records = compare_memory(loaded, text, cells, how["reach"] or 100)
        show_memory(tracked_memories(records), as_json=as_json)
    elif question:
        save(loaded, text, how)
    else:
        drawn = explain_unit(loaded, text, layer, how["unit"], None if as_json else SHOWN)
        show_explanation(drawn, how["gate"], as_json=as_json)


def save(loaded: "Loaded", text: "TokenizedText", how: dict[str, Any]) -> None:
    """Explain a text, write the file of --html or --npz, and say what is in it."""
    from charlm.console.explanations import show_saved, tracked_tokens
    from charlm.explain.activations import explain_text, save_arrays
    from charlm.web.reports import save_page

    layers, unit = (None if how[name] is None else [how[name]] for name in ("layer", "unit"))
    records = explain_text(loaded, text, layers, unit or how["units"])
    write, path = (save_page, how["html"]) if how["html"] else (save_arrays, how["npz"])
    show_saved(tracked_tokens(write(records, path, force=how["force"])), path)
