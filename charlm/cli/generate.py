"""``charlm generate``."""

from pathlib import Path

import click

__all__ = ["command"]


@click.command("generate")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prompt", "-p", default="", metavar="TEXT|-", help="What to go on from.")
@click.option(
    "--length",
    "-n",
    default=500,
    show_default=True,
    type=click.IntRange(0),
    help="Characters to write.",
)
@click.option(
    "--temperature", "-t", default=0.8, show_default=True, help="0: always the likeliest."
)
@click.option("--top-k", default=0, show_default=True, help="Only the k likeliest; 0: all.")
@click.option("--top-p", default=1.0, show_default=True, help="Only the likeliest of this sum.")
@click.option("--min-p", default=0.0, show_default=True, help="Only those this near the likeliest.")
@click.option("--stop", multiple=True, metavar="TEXT", help="End before this text.")
@click.option(
    "--samples",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="How many texts to write.",
)
@click.option("--seed", type=int, default=None, help="Same seed, same text.  [default: random]")
@click.option("--step", type=int, default=None, help="Which checkpoint.  [default: the best]")
@click.option(
    "--replace-unknown",
    metavar="TEXT",
    default=None,
    help="Put this for characters the model has never seen; may be empty.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, auto.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per sample.")
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
    step: int | None,
    replace_unknown: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Let a trained model write: the prompt and its continuation, nothing else."""
    import secrets
    import sys

    from charlm.cli.signals import stopping
    from charlm.console.samples import show_samples
    from charlm.inference.loading import load_run
    from charlm.inference.sampling import Sampling, generate, replace_symbols

    sampling = Sampling(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)
    loaded = load_run(run, step=step, device=device)
    text = sys.stdin.buffer.read().decode("utf-8", "replace") if prompt == "-" else prompt
    text = replace_symbols(loaded.tokenizer, text, replace_unknown)
    first = secrets.randbelow(2**31) if seed is None else seed
    written = {
        number: generate(
            loaded.model,
            loaded.tokenizer,
            text,
            length=length,
            sampling=sampling,
            stop=stop,
            seed=number,
        )
        for number in range(first, first + samples)
    }
    with stopping() as flag:
        show_samples(text, written, flag, as_json=as_json)
    click.get_current_context().exit(flag.code)
