"""``charlm explain``."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Saving:
    """The file that --html or --npz names, the units that are kept in it, and whether it replaces
    another one.
    """

    html: Path | None
    npz: Path | None
    units: list[int] | None
    force: bool

    def save(
        self, loaded: "Loaded", text: "TokenizedText", layer: int | None, unit: int | None
    ) -> None:
        """Explain a text, write the file, and say what is in it."""
        from charlm.console.explanations import show_saved, tracked_tokens
        from charlm.explain.activations import explain_text, save_arrays

        layers, units = (None if number is None else [number] for number in (layer, unit))
        records = explain_text(loaded, text, layers, units or self.units)
        if self.npz:
            explanation = tracked_tokens(save_arrays(records, self.npz, force=self.force))
            show_saved(explanation, self.npz)
        elif self.html:
            from charlm.web.reports import save_page

            explanation = tracked_tokens(save_page(records, self.html, force=self.force))
            show_saved(explanation, self.html)


def file_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --html, --npz, --units and --force, which reach the command as one ``Saving``."""

    @click.option(
        "--html", type=click.Path(path_type=Path), metavar="FILE",
        help="Write a page with every unit at every step, for a browser, instead.",
    )  # fmt: skip
    @click.option(
        "--npz", type=click.Path(path_type=Path), metavar="FILE",
        help="Write the arrays of all layers and units instead; numpy.load reads them.",
    )  # fmt: skip
    @click.option(
        "--units", metavar="N,N-N", callback=numbered,
        help="Keep only these units with --html or --npz, like 3,17 or 0-63.  [default: all]",
    )  # fmt: skip
    @click.option("--force", is_flag=True, help="Replace the file of --html or --npz.")
    @functools.wraps(command)
    def with_saving(
        html: Path | None, npz: Path | None, units: list[int] | None, force: bool, **arguments: Any
    ) -> Any:
        return command(saving=Saving(html, npz, units, force), **arguments)

    return with_saving


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
@file_options
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
    run: Path,
    text: str,
    layer: int | None,
    unit: int | None,
    gates: tuple[str, ...],
    saving: Saving,
    find: str | None,
    memory: bool,
    reach: int | None,
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
    --memory shows how far back predictions reach; --html writes a page for a browser.
    """
    modes = {"--find": find, "--memory": memory or None, "--html": saving.html, "--npz": saving.npz}
    options = {
        "--unit": unit, "--units": saving.units, "--gate": gates, "--against": against,
        "--reach": reach, "--json": as_json or None,
    }  # fmt: skip
    check_use(modes, options)
    loaded, read = load_text(run, step, device, text, encoding)
    if find is not None:
        find_units(loaded, read, find, layer, as_json=as_json)
    elif memory:
        measure_memory(loaded, read, against, reach or 100, as_json=as_json)
    elif saving.html or saving.npz:
        saving.save(loaded, read, layer, unit)
    else:
        draw_unit(loaded, read, layer, unit, gates, as_json=as_json)


def load_text(
    run: Path, step: int | None, device: str, text: str, encoding: str | None
) -> "tuple[Loaded, TokenizedText]":
    """Load a run, and tokenize a text, or the file of that name."""
    from charlm.explain.reading import open_text, read_text
    from charlm.inference.loading import load_run

    loaded = load_run(run, step=step, device=device)
    return loaded, read_text(loaded.tokenizer, open_text(loaded, text, encoding))


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

    cells = [] if against is None else against.split(",")
    found = tracked_memories(compare_memory(loaded, text, cells, reach))
    show_memory(found, as_json=as_json)


def draw_unit(
    loaded: "Loaded",
    text: "TokenizedText",
    layer: int | None,
    unit: int | None,
    gates: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Draw one unit under the text."""
    from charlm.console.explanations import show_explanation, tracked_tokens
    from charlm.explain.activations import explain_unit

    explanation = tracked_tokens(explain_unit(loaded, text, layer, unit))
    show_explanation(explanation, gates, as_json=as_json)


GOES_WITH = {
    "--unit": ("", "--html", "--npz"),
    "--units": ("--html", "--npz"),
    "--gate": ("",),
    "--against": ("--memory",),
    "--reach": ("--memory",),
    "--json": ("", "--find", "--memory"),
}
"""Options, and the ones that ask for something else than a heat-map ("") with which they go."""


def check_use(modes: dict[str, Any], options: dict[str, Any]) -> None:
    """Raise ``UsageError`` for two ``modes`` at a time, and for ``options`` that do nothing."""
    asked = [name for name, value in modes.items() if value is not None]
    if len(asked) > 1:
        raise click.UsageError(f"{' and '.join(asked)} are several questions: ask one at a time")
    mode = asked[0] if asked else ""
    for name, value in options.items():
        if value in (None, ()) or mode in GOES_WITH[name]:
            continue
        if not mode:
            raise click.UsageError(f"{name} goes with {' or '.join(GOES_WITH[name])} only")
        raise click.UsageError(f"{name} does nothing with {mode}")
