"""``charlm generate``."""

import secrets
from pathlib import Path

import click

from charlm.cli.frame import Command
from charlm.cli.mixing import Mix, mix_options
from charlm.cli.shared import device_option, json_option, run_argument, step_option

__all__ = ["command"]


@click.command("generate", cls=Command, short_help="Let a trained model write.")
@run_argument
@click.option("--prompt", "-p", default="", metavar="TEXT|-", help="What to go on from.")
@click.option(
    "--length",
    "-n",
    default=500,
    show_default=True,
    type=click.IntRange(0),
    metavar="N",
    help="Characters to write.",
)
@click.option(
    "--temperature",
    "-t",
    default=0.8,
    show_default=True,
    metavar="X",
    help="Lower is safer; 0: always the likeliest.",
)
@click.option(
    "--top-k", default=0, show_default=True, metavar="N", help="Only the N likeliest; 0: all."
)
@click.option(
    "--top-p",
    default=1.0,
    show_default=True,
    metavar="X",
    help="Only the likeliest that together have this probability.",
)
@click.option(
    "--min-p",
    default=0.0,
    show_default=True,
    metavar="X",
    help="Only those this probable beside the likeliest.",
)
@click.option(
    "--stop", multiple=True, metavar="TEXT", help="End before this text; may be given repeatedly."
)
@click.option(
    "--samples",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="How many texts to write.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    metavar="N",
    help="Same seed, same text.  [default: random]",
)
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    type=click.Choice(["float32", "bfloat16", "int8"]),
    help="Round the weights of large models: faster, a little less exact.",
)
@click.option(
    "--replace-unknown",
    metavar="TEXT",
    help="Put this for what the model has never seen; may be empty.",
)
@mix_options
@step_option
@device_option("cpu")
@json_option("one JSON object per sample")
def command(
    run: Path,
    prompt: str,
    length: int,
    temperature: float,
    top_k: int,
    top_p: float,
    min_p: float,
    stop: tuple[str, ...],
    samples: int,
    seed: int | None,
    precision: str,
    replace_unknown: str | None,
    mix: Mix,
    step: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Let a trained model write: the prompt and its continuation, nothing else."""
    from charlm.console.samples import show_samples
    from charlm.console.streams import read_prompt
    from charlm.inference.generation.text import Sampling, generate_each, replace_symbols
    from charlm.inference.loading import load_run
    from charlm.inference.predictors.predictor import in_precision

    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    loaded = mix(load_run(run, step=step, device=device))
    text = replace_symbols(loaded.tokenizer, read_prompt(prompt), replace_unknown)
    first = secrets.randbelow(2**31) if seed is None else seed
    texts = generate_each(
        in_precision(loaded.model, precision),
        loaded.tokenizer,
        text,
        length=length,
        sampling=sampling,
        stop=stop,
        seeds=range(first, first + samples),
    )
    show_samples(text, texts, as_json=as_json)
