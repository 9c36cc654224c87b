"""``charlm generate``."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any

import click

from charlm.cli.frame import Command, option
from charlm.cli.runs import ChosenRun, model_options
from charlm.cli.shared import json_option, run_argument
from charlm.config import GenerationConfig

__all__ = ["command"]

WRITING = "Writing"
"""The heading of the options that say what is written, and how."""

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def generation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each setting of ``GenerationConfig``; one that is not given is None."""
    shorts = {"length": ("-n",), "temperature": ("-t",)}
    metavars: Mapping[object, str] = {int: "N", float: "X"}
    for entry in reversed(dataclasses.fields(GenerationConfig)):
        kind: Any = entry.type
        flags = ["--" + entry.name.replace("_", "-"), *shorts.get(entry.name, ())]
        help_text = f"{entry.metadata['help']}  [default: the run's, or {entry.default}]"
        command = option(
            *flags, type=kind, metavar=metavars[kind], help=help_text,
            multiple=True, callback=given_once, heading=WRITING,
        )(command)  # fmt: skip
    return command


def given_once(_: click.Context, option: click.Parameter, values: tuple[Any, ...]) -> Any:
    """The value of an option, or None.  Raises ``BadParameter`` where it was given twice."""
    if len(values) > 1:
        shown = " and ".join(map(str, values))
        raise click.BadParameter(f"given more than once: {shown}", param=option)
    return values[0] if values else None


def unescaped(_: click.Context, __: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    r"""Texts with the line breaks and tabs that \n, \t and \r stand for; \\ is a backslash."""
    return tuple(re.sub(r"\\([ntr\\])", lambda found: ESCAPES[found[1]], text) for text in texts)


@click.command("generate", cls=Command, short_help="Let a trained model write.")
@run_argument
@option(
    "--prompt", "-p", default="", show_default=False, metavar="TEXT|-", heading=WRITING,
    help="Text to continue; -: read it from standard input.",
)  # fmt: skip
@generation_options
@option(
    "--stop", multiple=True, metavar="TEXT", callback=unescaped, heading=WRITING,
    help=r"End before this text; \n is a line break, \t a tab.  May be given repeatedly.",
)  # fmt: skip
@option(
    "--past-end", is_flag=True, heading=WRITING,
    help="Where the model ends the document, begin another one instead of stopping.",
)  # fmt: skip
@option(
    "--samples", default=1, type=click.IntRange(1), metavar="N", heading=WRITING,
    help="How many texts to write.",
)  # fmt: skip
@option(
    "--seed", type=click.IntRange(0, 2**31 - 1), metavar="N", heading=WRITING,
    help="The same seed gives the same text.  [default: random]",
)  # fmt: skip
@option(
    "--precision", default="float32", heading=WRITING,
    type=click.Choice(["float32", "bfloat16", "int8"]),
    help="Round the weights: faster for large models, and a little less exact.",
)  # fmt: skip
@option(
    "--replace-unknown", metavar="TEXT", heading=WRITING,
    help="Replace what the model has never seen in the prompt by TEXT, which may be empty.",
)  # fmt: skip
@model_options
@json_option("one JSON object per sample")
def command(
    prompt: str,
    stop: tuple[str, ...],
    past_end: bool,
    samples: int,
    seed: int | None,
    precision: str,
    replace_unknown: str | None,
    chosen: ChosenRun,
    as_json: bool,
    **settings: Any,
) -> None:
    """Let a trained model write: the prompt and its continuation, nothing else."""
    from charlm.console.samples import show_samples, tell_seed
    from charlm.console.streams import read_prompt
    from charlm.inference.generation.text import random_seed, replace_symbols, write_samples
    from charlm.inference.predictors.recurrent import in_precision

    loaded = chosen.mix(chosen.load())
    given = {name: x for name, x in settings.items() if x is not None}
    config = dataclasses.replace(loaded.run.config.generation, **given)
    text = replace_symbols(loaded.tokenizer, read_prompt(prompt), replace_unknown)
    first = random_seed() if seed is None else seed
    model, seeds = in_precision(loaded.model, precision), range(first, first + samples)
    written = write_samples(
        model, loaded.tokenizer, text, config, seeds=seeds, stop=stop, past_end=past_end
    )
    if seed is None and not as_json and config.temperature:
        tell_seed(seeds)
    show_samples(written, as_json=as_json)
