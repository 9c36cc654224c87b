"""``charlm generate``."""

import dataclasses
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from charlm.cli.frame import Command, heading
from charlm.cli.mixing import Mix, mix_options
from charlm.cli.shared import device_option, json_option, run_argument, step_option
from charlm.config import GenerationConfig

__all__ = ["command"]

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def generation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for each setting of ``GenerationConfig``; one that is not given is None."""
    shorts = {"length": ("-n",), "temperature": ("-t",)}
    metavars: Mapping[object, str] = {int: "N", float: "X"}
    for entry in reversed(dataclasses.fields(GenerationConfig)):
        kind: Any = entry.type
        flags = ["--" + entry.name.replace("_", "-"), *shorts.get(entry.name, ())]
        help_text = f"{entry.metadata['help']}  [default: the run's, or {entry.default}]"
        option = click.option(
            *flags, type=kind, metavar=metavars[kind], help=help_text,
            multiple=True, callback=given_once, **heading("Writing"),
        )  # fmt: skip
        command = option(command)
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
@click.option(
    "--prompt", "-p", default="", metavar="TEXT|-", help="What to go on from.", **heading("Writing")
)
@generation_options
@click.option(
    "--stop",
    multiple=True,
    metavar="TEXT",
    callback=unescaped,
    help=r"End before this text; \n is a line break, \t a tab.  May be given repeatedly.",
    **heading("Writing"),
)
@click.option(
    "--past-end",
    is_flag=True,
    help="Go on with another document where the model ends one.",
    **heading("Writing"),
)
@click.option(
    "--samples",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="How many texts to write.",
    **heading("Writing"),
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    metavar="N",
    help="Same seed, same text.  [default: random]",
    **heading("Writing"),
)
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    type=click.Choice(["float32", "bfloat16", "int8"]),
    help="Round the weights of large models: faster, a little less exact.",
    **heading("Writing"),
)
@click.option(
    "--replace-unknown",
    metavar="TEXT",
    help="Put this for what the model has never seen; may be empty.",
    **heading("Writing"),
)
@mix_options
@step_option
@device_option
@json_option("one JSON object per sample")
def command(
    run: Path,
    prompt: str,
    stop: tuple[str, ...],
    past_end: bool,
    samples: int,
    seed: int | None,
    precision: str,
    replace_unknown: str | None,
    mix: Mix,
    step: int | None,
    device: str,
    as_json: bool,
    **settings: Any,
) -> None:
    """Let a trained model write: the prompt and its continuation, nothing else."""
    from charlm.console.samples import show_samples, tell_seed
    from charlm.console.streams import read_prompt
    from charlm.inference.generation.text import random_seed, replace_symbols, write_samples
    from charlm.inference.loading import load_run
    from charlm.inference.predictors.recurrent import in_precision

    loaded = mix(load_run(run, step=step, device=device))
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
