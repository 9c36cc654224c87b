"""Text that a model writes, as it is written."""

import sys
from collections.abc import Sequence

from charlm.console.streams import print_json, talk, write_text
from charlm.inference.generation.text import Sample

__all__ = ["show_samples", "tell_seed"]

RULE = 60
"""Columns of the line between two samples on a terminal."""


def tell_seed(seeds: Sequence[int]) -> None:
    """Print the seeds, which were chosen at random, on stderr: they give these texts again."""
    last = f" to {seeds[-1]}" if len(seeds) > 1 else ""
    talk().print(f"seed {seeds[0]}{last}", style="dim")


def show_samples(samples: Sequence[Sample], *, as_json: bool) -> None:
    """Print the prompt and its continuation for every seed.

    Several are separated by a line with the seed on a terminal, by a blank line elsewhere.
    """
    on_terminal = sys.stdout.isatty()
    for number, sample in enumerate(samples):
        if as_json:
            text = "".join(sample)
            print_json(
                {"prompt": sample.prompt, "text": text, "seed": sample.seed,
                 "finish": sample.finish}
            )  # fmt: skip
            continue
        if on_terminal and len(samples) > 1:
            sys.stdout.write(
                "\n" * (number > 0) + f"── seed {sample.seed} ".ljust(RULE, "─") + "\n"
            )
        elif number:
            write_text("\n\n")
        write_text(sample.prompt)
        for piece in sample:
            write_text(piece)
        if on_terminal:
            sys.stdout.write("\n")
        tell_end(sample)


def tell_end(sample: Sample) -> None:
    """Note on stderr that a text is short because the model ended the document."""
    if sample.finish == "end":
        talk().print("the model ended the document here; --past-end begins another", style="dim")
