"""``charlm generate``."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from charlm.cli.frame import Command, given_among, option
from charlm.cli.options import Numbers
from charlm.cli.runs import ChosenRun, model_options
from charlm.cli.shared import json_option, run_argument, seed_option
from charlm.config import GenerationConfig, named_values
from charlm.config.whole import refuse_unknown
from charlm.errors import ConfigError

__all__ = ["FILTERING", "FILTERS", "WRITING", "command", "generation_options"]

WRITING, FILTERS, SHOWING = "Writing", "Choosing tokens", "Several texts"
"""Headings: what is written, how each token is chosen, and which texts are shown."""

FILTERING = ("temperature", "top_k", "top_p", "min_p")
"""The settings under the heading ``FILTERS``."""

WIDTH = 50
"""Hypotheses of --fill, unless --beam is given."""

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


OWN = ("length", "unit", "whole", "temperature", "top_k", "top_p", "min_p", "pattern", "max_copy")
"""The settings of ``GenerationConfig`` with an option of their own; --set reaches the others."""


def generation_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add an option for each of these settings, and --set; they reach the command as one table,
    ``settings``.  An option wins over --set.
    """

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_settings(assignments: tuple[str, ...], **arguments: Any) -> Any:
            given = {name: arguments.pop(name) for name in names}
            settings = generation_table(assignments)
            settings |= {name: value for name, value in given.items() if value is not None}
            return command(settings=settings, **arguments)

        option(
            "--set", "assignments", multiple=True, metavar="NAME=VALUE", heading=FILTERS,
            help="Any other filter or penalty, such as xtc_probability=0.5; docs/settings.md lists "
            "them under generation.  May be given repeatedly.",
        )(with_settings)  # fmt: skip
        entries = {entry.name: entry for entry in dataclasses.fields(GenerationConfig)}
        for name in reversed(names):
            setting_option(entries[name])(with_settings)
        return with_settings

    return add


def setting_option(entry: dataclasses.Field[Any]) -> Callable[..., Any]:
    """The option of one setting; one that is not given is None."""
    shorts = {"length": ("-n",), "temperature": ("-t",)}
    metavars: Mapping[object, str] = {int: "N", float: "X", str: "EXPRESSION"}
    choices = entry.metadata["choices"]
    default = "" if entry.default == "" else f"  [default: the run's, or {entry.default}]"
    return option(
        "--" + entry.name.replace("_", "-"), *shorts.get(entry.name, ()),
        type=click.Choice(choices) if choices else entry.type,
        metavar=entry.name.upper() if choices else metavars[entry.type],
        help=(f"One of {', '.join(choices)}.  " if choices else "")
        + entry.metadata["help"].replace("`length`", "--length").replace("  [default: none]", "")
        + default,
        multiple=True, callback=given_once,
        heading=FILTERS if entry.name in FILTERING else WRITING,
    )  # fmt: skip


def given_once(_: click.Context, option: click.Parameter, values: tuple[Any, ...]) -> Any:
    """The value of an option, or None.  Raises ``BadParameter`` where it was given twice."""
    if len(values) > 1:
        shown = " and ".join(map(str, values))
        raise click.BadParameter(f"given more than once: {shown}", param=option)
    return values[0] if values else None


def unescaped(_: click.Context, __: click.Parameter, given: Any) -> Any:
    r"""A text or several, with the line breaks and tabs that \n, \t and \r stand for; \\ is a
    backslash.
    """
    if not isinstance(given, str):
        return given and tuple(unescaped(_, __, text) for text in given)
    return re.sub(r"\\([ntr\\])", lambda found: ESCAPES[found[1]], given)


def generation_table(assignments: Sequence[str]) -> dict[str, Any]:
    """The settings of generation in NAME=VALUE texts.  Raises ``ConfigError`` for another name."""
    table: dict[str, Any] = {}
    for name, value in named_values(assignments).items():
        section, _, key = name.rpartition(".")
        refuse_unknown(section or GenerationConfig.name, key)
        if section not in ("", GenerationConfig.name):
            raise ConfigError(
                f"{name} belongs to training, and this run is trained", "leave it out"
            )
        table[key] = value
    return table


IDLE = {
    "fill": ("prompt", "prompts", "seed", "color", "best_of", "stop", "past_end", "state",
             "temperatures"),
    "beam": ("seed",),
}  # fmt: skip
"""Options without a setting that do nothing with one of these ways to write."""


def check_modes(settings: Mapping[str, Any], fill: str | None, beam: int | None) -> None:
    """Raise ``ConfigError`` for an option that does nothing with the way to write."""
    from charlm.inference.generation.modes import refuse_idle, refuse_rivals

    mode = "fill" if fill is not None else "beam" if beam else None
    refuse_idle(mode, [*settings, *given_among(IDLE.get(mode or "", ()))])
    if fill is None and given_among(["gap_length"]):
        raise ConfigError("`gap_length` does nothing without `fill`", "give `fill=TEXT`")
    temperatures = bool(given_among(["temperatures"]))
    refuse_rivals(temperatures=temperatures, temperature="temperature" in settings)


def what_not_to_copy(loaded: Any) -> Any:
    """The index of the training text, of a run that is not to copy from it."""
    # Imported here, because few texts are written with --max-copy.
    from charlm.console.novelty import show_indexing
    from charlm.inference.loading import index_training_text

    return show_indexing(index_training_text(loaded))


@click.command("generate", cls=Command, short_help="Let a trained model write.")
@run_argument
@option(
    "--prompt", "-p", default="", show_default=False, metavar="TEXT|-", heading=WRITING,
    help="Text to continue; -: read it from standard input.",
)  # fmt: skip
@option(
    "--prompts", metavar="FILE", heading=WRITING,
    type=click.Path(readable=False, path_type=Path, dir_okay=False),
    help=r"Continue each line of FILE; \n in it is a line break.",
)  # fmt: skip
@option(
    "--fill", metavar="TEXT", callback=unescaped, heading=WRITING,
    help="Fill the gaps of TEXT, ___, with what makes the whole most probable.",
)  # fmt: skip
@option(
    "--gap-length", type=click.IntRange(1), metavar="N", heading=WRITING,
    help="With --fill: most characters of a gap.  [default: 20]",
)  # fmt: skip
@generation_options(*OWN)
@option(
    "--stop", multiple=True, metavar="TEXT", callback=unescaped, heading=WRITING,
    help=r"End before this text; \n is a line break, \t a tab.  May be given repeatedly.",
)  # fmt: skip
@option(
    "--past-end", is_flag=True, heading=WRITING,
    help="Where the model ends the document, begin another one instead of stopping.",
)  # fmt: skip
@option(
    "--state", metavar="FILE", heading=WRITING,
    type=click.Path(readable=False, path_type=Path, dir_okay=False),
    help="Go on from the text whose state is in FILE, if it exists, and keep the state after this "
    "text there.",
)  # fmt: skip
@option(
    "--samples", default=1, type=click.IntRange(1), metavar="N", heading=SHOWING,
    help="How many texts to write.",
)  # fmt: skip
@seed_option("The same seed gives the same text.  [default: random]", FILTERS)
@option(
    "--temperatures", type=Numbers("0.5,0.8"), metavar="X,X,...", heading=SHOWING,
    help="Write each text at these temperatures, side by side on a terminal.",
)  # fmt: skip
@option(
    "--best-of", default=1, type=click.IntRange(1), metavar="N", heading=SHOWING,
    help="Of every N texts show the one with the most probable tokens.",
)  # fmt: skip
@option(
    "--beam", type=click.IntRange(1), metavar="N", heading=SHOWING,
    help="Search for the most probable text with N hypotheses.  [default: sample; 50 with --fill]",
)  # fmt: skip
@option(
    "--precision", default="float32", heading=FILTERS,
    type=click.Choice(["float32", "bfloat16", "int8"]),
    help="Round the weights: faster for large models, and a little less exact.",
)  # fmt: skip
@option(
    "--replace-unknown", metavar="TEXT", heading=WRITING,
    help="Replace what the model has never seen in the prompt by TEXT, which may be empty.",
)  # fmt: skip
@option(
    "--color", is_flag=True, heading=SHOWING,
    help="Shade the text by its surprise, on a terminal.",
)  # fmt: skip
@model_options
@json_option("one JSON object per sample, with the log-probability of each token")
def command(
    prompt: str,
    prompts: Path | None,
    fill: str | None,
    gap_length: int | None,
    settings: dict[str, Any],
    replace_unknown: str | None,
    seed: int | None,
    samples: int,
    beam: int | None,
    color: bool,
    chosen: ChosenRun,
    as_json: bool,
    **how: Any,
) -> None:
    """Let a trained model write: the prompt and its continuation, nothing else."""
    from charlm.console.samples import show_filled, show_samples, tell_seed
    from charlm.console.streams import read_prompts
    from charlm.inference.generation.modes import write_texts
    from charlm.inference.generation.search.filling import fill as fill_text
    from charlm.inference.generation.text import replace_symbols, seeds_for
    from charlm.inference.predictors.recurrent import in_precision

    check_modes(settings, fill, beam)
    loaded = chosen.mix(chosen.load())
    config = dataclasses.replace(loaded.run.config.generation, **settings)
    model = in_precision(loaded.model, how.pop("precision"))
    replaced = functools.partial(replace_symbols, loaded.tokenizer, replacement=replace_unknown)
    training = what_not_to_copy(loaded) if config.max_copy else None
    if fill is not None:
        size = {"gap_length": gap_length or 20, "width": beam or WIDTH, "count": samples}
        found = fill_text(model, loaded.tokenizer, replaced(fill), config, training, **size)
        return show_filled(found, as_json=as_json)
    texts, seeds = map(replaced, read_prompts(prompt, prompts)), seeds_for(seed, samples)
    how |= {"seeds": seeds, "beam": beam or 0, "training_text": training}
    written = write_texts(model, loaded.tokenizer, [*texts], config, **how)
    if seed is None and not (as_json or beam) and (config.temperature or how["temperatures"]):
        tell_seed(range(seeds[0], seeds[0] + samples * how["best_of"]))
    return show_samples(written, as_json=as_json, color=color)
