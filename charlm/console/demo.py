"""The end of the demo: how well the model predicts, beside what is easily reached; a sample."""

import shlex
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from charlm.config import GenerationConfig
from charlm.console.samples import opening
from charlm.console.streams import print_named, printable, talk
from charlm.inference.generation.text import stream
from charlm.inference.loading import Loaded, load_part, load_run
from charlm.inference.scoring.baselines import measure_baselines
from charlm.inference.scoring.documents import score_store
from charlm.metrics import Score

__all__ = ["show_demo"]

SAMPLE_LENGTH = 400
TEMPERATURE, SEED = 0.7, 1
INDENT = 3
"""The column beside what is written."""


def show_demo(folder: Path) -> None:
    """Score the test part exactly, print the table, a sample, and what to try next."""
    loaded = load_run(folder)
    test = load_part(loaded, "test")
    parts = score_store(loaded.model, test, loaded.tokenizer.unknown_id)
    score = sum((part.score for part in parts), start=Score())
    train, valid = load_part(loaded, "train"), load_part(loaded, "valid")
    baselines = measure_baselines(loaded.tokenizer, train, valid, test)
    rows = {baseline.name: baseline.bpc for baseline in baselines}
    show_comparison(score, rows | {"your LSTM": score.bpc})
    show_writing(loaded, opening(test, loaded.tokenizer))
    console = talk()
    run = shlex.quote(str(folder))
    console.print("\ntry next")
    console.print(f'  charlm generate {run} --prompt "The "', markup=False)
    console.print(f"  charlm score {run} YOUR-TEXT.txt --by word | head", markup=False)
    console.print("  charlm train YOUR-TEXT.txt --minutes 5", markup=False)


def show_comparison(score: Score, rows: dict[str, float]) -> None:
    """A table of bits per character, the model's last."""
    console = talk()
    console.print(f"\non {score.chars:,} characters that were never used in training:")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("model")
    table.add_column("bits per character", justify="right")
    table.add_column("perplexity per character", justify="right")
    for name, bpc in rows.items():
        table.add_row(name, f"{bpc:.3f}", f"{2**bpc:.2f}")
    table.rows[-1].style = "bold"
    console.print(table)


def show_writing(loaded: Loaded, prompt: str) -> None:
    """What the model writes where the text that it was tested on begins."""
    config = GenerationConfig(length=SAMPLE_LENGTH, temperature=TEMPERATURE)
    pieces = stream(loaded.model, loaded.tokenizer, prompt, config, seed=SEED)
    console = talk()
    console.print(f"it writes, at temperature {TEMPERATURE}:\n")
    written = printable("".join(pieces)).strip()
    # Whole lines where there is no terminal that is too narrow for them.
    print_named(console, "", written, INDENT)
