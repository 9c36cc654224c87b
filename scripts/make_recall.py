"""Train plain, gated and LSTM networks to recall a symbol over a gap, and plot how well they do.

    python scripts/make_recall.py FOLDER

For each longest gap a text of the source ``recall`` is made in FOLDER, a network of each kind is
trained on it, and the answers to gaps of just this length are counted on a text of its own.
Writes docs/pictures/recall.svg and docs/pictures/recall.json; takes about 20 minutes on one core.
What is in FOLDER already is not trained again.
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

import charlm
from charlm.data.synthetic.kinds import RecallSource, write_synthetic
from charlm.inference.predictors.reader import Reader

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
CELLS = {"rnn": "plain RNN", "gru": "GRU", "lstm": "LSTM"}
GAPS = (3, 10, 30, 100)
SIZES = {"hidden_size": 64, "bptt": 128, "batch_size": 32, "dropout": 0.0, "steps": 1500}
ASKED = 1000
"""Answers that are counted for each gap."""


def train(folder: Path, cell: str, gap: int) -> charlm.Model:
    """A network of a kind of cell that was trained on gaps up to ``gap``."""
    text, run = folder / f"recall-{gap}.txt", folder / f"{cell}-{gap}"
    if not text.exists():
        write_synthetic(RecallSource(longest=gap), text, 1_000_000, seed=1)
    for report in charlm.train(text, out=run, cell=cell, **SIZES):
        if type(report).__name__ == "Evaluated":
            print(cell, gap, report, flush=True)
    return charlm.load(run)


def accuracy(model: charlm.Model, gap: int) -> float:
    """The share of symbols that the network finds likeliest after a gap of this length."""
    source = RecallSource(shortest=gap, longest=gap)
    text = source.generate(ASKED * (gap + 3), seed=2)
    ids = model.tokenizer.encode(text).astype(np.int64)
    reader = Reader(model.loaded.model)
    parts = (reader.log_probs(ids[at : at + 1024]) for at in range(0, len(ids), 1024))
    guesses = np.concatenate([part.argmax(-1).numpy() for part in parts])
    answers = slice(gap + 2, None, gap + 3)
    return float((guesses[answers] == ids[answers]).mean())


def plot(found: dict[str, dict[int, float]]) -> None:
    """Accuracy against gap, a line for each kind of cell."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "charlm"  # the same picture every time
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for (cell, name), mark in zip(CELLS.items(), "os^", strict=True):
        shares = found[cell]
        axes.plot(list(shares), [100 * share for share in shares.values()], f"-{mark}", label=name)
    axes.axhline(25, color="grey", linestyle=":", label="chance")
    axes.set(xscale="log", ylim=(0, 104), xlabel="characters between symbol and answer")
    axes.set_xticks(GAPS, map(str, GAPS))
    axes.minorticks_off()
    axes.set_ylabel("right answers in %")
    axes.legend(frameon=False)
    figure.savefig(PICTURES / "recall.svg", metadata={"Date": None})


def main(folder: Path) -> None:
    """Train what is missing, count the answers, write table and picture."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("CHARLM_CACHE", str(folder / "cache"))
    found = {cell: {gap: accuracy(train(folder, cell, gap), gap) for gap in GAPS} for cell in CELLS}
    (PICTURES / "recall.json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))
    plot(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
