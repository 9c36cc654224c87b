"""The end of the demo: how well the model predicts, beside what is easily reached; a sample."""

from pathlib import Path

from rich.table import Table

from charlm.console.streams import printable, talk
from charlm.inference.baselines import measure_baselines
from charlm.inference.loading import load_part, load_run
from charlm.inference.sampling import Sampling, generate
from charlm.inference.scoring import score_store
from charlm.metrics import Score

__all__ = ["show_demo"]

SAMPLE_LENGTH = 400


def show_demo(folder: Path) -> None:
    """Score the test part exactly, print the table, a sample, and what to try next."""
    loaded = load_run(folder)
    test = load_part(loaded, "test")
    parts = score_store(loaded.model, test, loaded.tokenizer.unknown_id)
    score = sum((part.score for part in parts), start=Score())
    train, valid = load_part(loaded, "train"), load_part(loaded, "valid")
    baselines = measure_baselines(loaded.tokenizer, train, valid, test)
    console = talk()
    rows = {baseline.name: baseline.bpc for baseline in baselines}
    rows["your LSTM"] = score.bpc
    table = Table(
        title=f"held-out text, {score.chars:,} characters never used in training",
        title_justify="left",
    )
    table.add_column("model")
    table.add_column("bits per character", justify="right")
    table.add_column("perplexity per character", justify="right")
    for name, bpc in rows.items():
        table.add_row(name, f"{bpc:.3f}", f"{2**bpc:.2f}", style="bold" if "your" in name else "")
    console.print()
    console.print(table)
    console.print("\nIt writes (temperature 0.7):\n")
    pieces = generate(
        loaded.model,
        loaded.tokenizer,
        "The ",
        length=SAMPLE_LENGTH,
        sampling=Sampling(temperature=0.7),
    )
    console.print(printable("The " + "".join(pieces)), markup=False)
    console.print("\nTry next:")
    console.print(f'  charlm generate {folder} --prompt "The "', markup=False)
    console.print(f"  charlm score {folder} README.md --by word | head", markup=False)
    console.print("  charlm train YOUR-TEXT.txt --minutes 5", markup=False)
