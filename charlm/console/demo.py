"""The end of the demo: a comparison with simple models, and a sample."""

import shlex

from rich.box import SIMPLE_HEAD
from rich.table import Table

from charlm.console.streams import print_named, talk
from charlm.errors import counted
from charlm.inference.demonstration import Demonstration, Sampled

__all__ = ["show_demo"]

INDENT = 3
"""Columns left of the sample."""


def show_demo(found: Demonstration) -> None:
    """Print the table of figures, the sample, and what to try next."""
    show_figures(found)
    show_sample(found.sample)
    console = talk()
    run = shlex.quote(found.run)
    console.print("\ntry next")
    console.print(f'  charlm generate {run} --prompt "The "', markup=False)
    console.print(f"  charlm score {run} YOUR-TEXT.txt --by word | head", markup=False)
    console.print("  charlm train YOUR-TEXT.txt --minutes 5", markup=False)


def show_figures(found: Demonstration) -> None:
    """A table of bits per character, the model's last."""
    console = talk()
    console.print(
        f"\non {counted(found.score.chars, 'character')} that were never used in training:"
    )
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    table.add_column("bits per character", justify="right")
    table.add_column("perplexity per character", justify="right")
    rows = {baseline.name: baseline.bpc for baseline in found.baselines}
    for name, bpc in (rows | {"your LSTM": found.score.bpc}).items():
        table.add_row(name, f"{bpc:.3f}", f"{2**bpc:.2f}")
    table.rows[-1].style = "bold"
    console.print(table)
    best = min(found.baselines, key=lambda baseline: baseline.bpc)
    if best.bpc < found.score.bpc:
        console.print(
            f"{best.name} is ahead so far: a network needs more training than counting does.  "
            "The same command with more --minutes goes on with this run.\n",
            markup=False,
        )


def show_sample(sample: Sampled) -> None:
    """What the model wrote."""
    console = talk()
    console.print(f"it writes, at temperature {sample.temperature:g}:\n")
    # Whole lines where there is no terminal that is too narrow for them.
    print_named(console, "", sample.text.strip(), INDENT)
