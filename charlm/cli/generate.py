"""``charlm generate``."""

import dataclasses
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from charlm.cli.frame import Command, option
from charlm.cli.options import Shares
from charlm.cli.runs import ChosenRun, model_options
from charlm.cli.shared import json_option, run_argument
from charlm.config import GenerationConfig, named_values
from charlm.config.whole import refuse_unknown
from charlm.errors import ConfigError

__all__ = ["FILTERING", "FILTERS", "WRITING", "command", "generation_options", "what_not_to_copy"]

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
            settings = generation_table(assignments)
            settings |= {
                name: value for name in names if (value := arguments.pop(name)) is not None
            }
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


def given_once(_: click.Context, option: click.Parameter, values: tuple[Any, ...]) -> Any:
    """The value of an option, or None.  Raises ``BadParameter`` where it was given twice."""
    if len(values) > 1:
        shown = " and ".join(map(str, values))
        raise click.BadParameter(f"given more than once: {shown}", param=option)
    return values[0] if values else None


def unescaped(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    r"""Texts with the line breaks and tabs that \n, \t and \r stand for; \\ is a backslash."""
    return tuple(re.sub(r"\\([ntr\\])", lambda found: ESCAPES[found[1]], text) for text in texts)


def unescaped_one(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> str | None:
    """Like ``unescaped``, of one text or none."""
    return None if text is None else unescaped(context, parameter, (text,))[0]


IDLE_WITH_FILL = ("stop", "past_end", "state", "temperatures")
"""Options that do nothing with --fill; they have no value unless they are given."""


def check_modes(
    settings: Mapping[str, Any],
    given: Sequence[str],
    fill: str | None,
    gap_length: int | None,
    beam: int | None,
    temperatures: Sequence[float] | None,
) -> None:
    """Raise ``ConfigError`` for an option in ``given`` that does nothing with the way to write."""
    from charlm.inference.generation.modes import refuse_idle, refuse_rivals

    if fill is not None:
        refuse_idle("fill", given)
    elif gap_length is not None:
        raise ConfigError("`gap_length` does nothing without `fill`", "give `fill=TEXT`")
    elif beam:
        refuse_idle("beam", settings)
    refuse_rivals(temperatures=bool(temperatures), temperature="temperature" in settings)


def given_beside_fill(others: Mapping[str, Any], how: Mapping[str, Any]) -> list[str]:
    """The names of options that were given and do nothing with --fill."""
    idle = {name: how[name] for name in IDLE_WITH_FILL}
    both = {**others, "best_of": how["best_of"] > 1, **idle}
    return [name for name, value in both.items() if value]


def what_not_to_copy(loaded: Any, config: GenerationConfig) -> dict[str, Any]:
    """The index of the training text, where copies of it are limited."""
    if not config.max_copy:
        return {}
    from charlm.console.novelty import show_indexing
    from charlm.inference.loading import index_training_text

    return {"training_text": show_indexing(index_training_text(loaded))}


def fill_gaps(*of_text: Any, as_json: bool) -> None:
    """Fill the gaps of a text, and show what was found."""
    from charlm.console.samples import show_filled
    from charlm.inference.generation.filling import fill

    *given, size = of_text
    show_filled(fill(*given, **size), as_json=as_json)


@click.command("generate", cls=Command, short_help="Let a trained model write.")
@run_argument
@option(
    "--prompt", "-p", default="", show_default=False, metavar="TEXT|-", heading=WRITING,
    help="Text to continue; -: read it from standard input.",
)  # fmt: skip
@option(
    "--prompts", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", heading=WRITING,
    help=r"Continue each line of FILE; \n in it is a line break.",
)  # fmt: skip
@option(
    "--fill", metavar="TEXT", callback=unescaped_one, heading=WRITING,
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
    "--state", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", heading=WRITING,
    help="Go on from the text whose state is in FILE, if it exists, and keep the state after this "
    "text there.",
)  # fmt: skip
@option(
    "--samples", default=1, type=click.IntRange(1), metavar="N", heading=SHOWING,
    help="How many texts to write.",
)  # fmt: skip
@option(
    "--seed", type=click.IntRange(0, 2**31 - 1), metavar="N", heading=FILTERS,
    help="The same seed gives the same text.  [default: random]",
)  # fmt: skip
@option(
    "--temperatures", type=Shares("0.5,0.8"), metavar="X,X,...", heading=SHOWING,
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
    precision: str,
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
    from charlm.console.samples import show_samples, tell_seed
    from charlm.console.streams import read_prompts
    from charlm.inference.generation.modes import write_texts
    from charlm.inference.generation.text import replace_symbols, seeds_for
    from charlm.inference.predictors.recurrent import in_precision

    others = {"prompt": prompt, "prompts": prompts, "seed": seed is not None, "color": color}
    given = [*settings, *given_beside_fill(others, how)]
    check_modes(settings, given, fill, gap_length, beam, how["temperatures"])
    loaded = chosen.mix(chosen.load())
    config = dataclasses.replace(loaded.run.config.generation, **settings)
    model = in_precision(loaded.model, precision)
    replaced = functools.partial(replace_symbols, loaded.tokenizer, replacement=replace_unknown)
    if fill is not None:
        size = {"gap_length": gap_length or 20, "width": beam or WIDTH, "count": samples}
        size |= what_not_to_copy(loaded, config)
        return fill_gaps(model, loaded.tokenizer, replaced(fill), config, size, as_json=as_json)
    texts = [replaced(text) for text in read_prompts(prompt, prompts)]
    seeds = seeds_for(seed, samples)
    how |= {"seeds": seeds, "beam": beam or 0, **what_not_to_copy(loaded, config)}
    written = write_texts(model, loaded.tokenizer, texts, config, **how)
    if seed is None and not (as_json or beam) and (config.temperature or how["temperatures"]):
        tell_seed(range(seeds[0], seeds[0] + samples * how["best_of"]))
    return show_samples(written, as_json=as_json, color=color)
