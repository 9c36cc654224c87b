"""Train networks to recall a symbol over a gap, and draw the pictures of docs/lstm.md.

    python scripts/make_lstm_pictures.py FOLDER

For each longest gap a text of the source ``recall`` is made in FOLDER, and a plain network, a GRU
and an LSTM are trained on it.  ``recall.svg``: the right answers to gaps of just this length, on a
text of its own.  ``gradient.svg``: how far back the gradient of an answer reaches.  ``gates.svg``:
the unit of the LSTM that holds the symbol.  ``recall.json`` has the figures.  Takes about half an
hour on one core, and matplotlib; what is in FOLDER already is not trained again.
"""

import json
import os
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

import charlm
from charlm.data.synthetic.kinds import RecallSource, write_synthetic
from charlm.explain.memory import gradient_norms, states_after
from charlm.inference.predictors.reader import Reader

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
CELLS = {"rnn": "plain RNN", "gru": "GRU", "lstm": "LSTM"}
SIZES = {"hidden_size": 64, "bptt": 128, "batch_size": 32, "dropout": 0.0}
STEPS = {3: 1500, 10: 1500, 100: 3000}
"""The longest gaps, and the steps of training for each; batch size times bptt tokens a step."""
CHARS = {3: 1_000_000, 10: 1_000_000, 100: 2_000_000}
"""Characters of the texts."""

GAPS = tuple(STEPS)
ASKED = 1000
"""Answers that are counted for each gap."""


def train(folder: Path, cell: str, gap: int) -> charlm.Model:
    """A network of a kind of cell that was trained on gaps up to ``gap``."""
    text, run = folder / f"recall-{gap}.txt", folder / f"{cell}-{gap}"
    if not text.exists():
        write_synthetic(RecallSource(longest=gap), text, CHARS[gap], seed=1)
    for report in charlm.train(text, out=run, cell=cell, steps=STEPS[gap], **SIZES):
        if type(report).__name__ == "Evaluated":
            print(cell, gap, report, flush=True)
    return charlm.load(run)


def accuracy(model: charlm.Model, gap: int) -> float:
    """The share of symbols that the network finds likeliest after a gap of this length."""
    text = RecallSource(shortest=gap, longest=gap).generate(ASKED * (gap + 3), seed=2)
    ids = model.tokenizer.encode(text).astype(np.int64)
    reader = Reader(model.loaded.model)
    parts = (reader.log_probs(ids[at : at + 1024]) for at in range(0, len(ids), 1024))
    guesses = np.concatenate([part.argmax(-1).numpy() for part in parts])
    answers = slice(gap + 2, None, gap + 3)
    return float((guesses[answers] == ids[answers]).mean())


def gradients(model: charlm.Model, gap: int, answers: int = 64) -> list[float]:
    """The geometric mean of the norms of an answer's gradient, by steps back to the symbol."""
    text = RecallSource(shortest=gap, longest=gap).generate((answers + 1) * (gap + 3), seed=2)
    stream = np.append(0, model.tokenizer.encode(text)).astype(np.int64)
    ends = np.arange(1, answers + 1) * (gap + 3) + gap + 2  # of the cue before each answer
    reach = gap + 1
    states = states_after(model.network, stream, ends - reach + 1)
    windows = np.stack([stream[end - reach + 1 : end + 2] for end in ends])
    norms = gradient_norms(model.network, torch.from_numpy(windows), states)
    return np.exp(np.log(norms.clip(1e-30)).mean(axis=0)).tolist()


def draw_recall(found: dict[str, dict[int, float]]) -> None:
    """Accuracy against gap, a line for each kind of cell."""
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for (cell, name), mark in zip(CELLS.items(), "os^", strict=True):
        shares = [100 * found[cell][gap] for gap in GAPS]
        axes.plot(GAPS, shares, f"-{mark}", label=name)
    axes.axhline(25, color="grey", linestyle=":", label="chance")
    axes.set(xscale="log", ylim=(0, 104), xlabel="characters between symbol and answer")
    axes.set_xticks(GAPS, map(str, GAPS))
    axes.minorticks_off()
    axes.set_ylabel("right answers in %")
    axes.legend(frameon=False)
    save(figure, "recall")


def draw_gradients(found: dict[str, list[float]]) -> None:
    """The gradient's norm, as a share of that one step back, a line for each kind of cell."""
    figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for (cell, name), style in zip(CELLS.items(), ("-", "--", "-."), strict=True):
        shares = np.array(found[cell]) / found[cell][0]
        axes.plot(range(1, len(shares) + 1), shares, style, label=name)
    axes.set(yscale="log", xlabel="steps back from the answer; the symbol is at the right end")
    axes.set_ylabel("norm of the gradient\n(1 step back = 1)")
    axes.legend(frameon=False)
    save(figure, "gradient")


def draw_gates(model: charlm.Model, gap: int = 30) -> int:
    """Gates and cell state of the unit that tells the symbols apart best, in a block for each."""
    order = "ABCD" * 15
    noise = np.random.default_rng(1).choice(list("abcd"), (len(order), gap))
    text = "".join(
        f"{symbol}{''.join(each)}?{symbol}" for symbol, each in zip(order, noise, strict=True)
    )
    explanation = model.explain(text)
    cells = explanation.gates["cell"][gap + 1 :: gap + 3, 0]  # (blocks, H), at the cues
    means = np.stack([cells[at::4].mean(axis=0) for at in range(4)])
    tells = means.var(axis=0) / cells.var(axis=0).clip(1e-9)
    unit = int(np.where(tells > 0.9 * tells.max(), means.var(axis=0), 0).argmax())
    figure, rows = plt.subplots(3, figsize=(8, 4), sharex=True, layout="constrained")
    for axes, name in zip(rows, ("input_gate", "forget_gate", "cell"), strict=True):
        steps = 4 * (gap + 3)
        axes.plot(explanation.gates[name][4 * steps : 5 * steps, 0, unit], drawstyle="steps-mid")
        axes.set_ylabel(name.replace("_", " "))
        for at in range(0, steps, gap + 3):
            axes.axvline(at, color="grey", linestyle=":", linewidth=1)
    for axes in rows[:2]:
        axes.set_ylim(-0.05, 1.05)
    places = [at for block in range(4) for at in (block * (gap + 3), (block + 1) * (gap + 3) - 3)]
    names = [name for symbol in "ABCD" for name in (symbol, f"? {symbol}  ")]
    rows[-1].set_xticks(places, names)
    print("unit", unit, "tells", tells[unit], tells.max())
    save(figure, "gates")
    return unit


def save(figure: Figure, name: str) -> None:
    """Write a picture that is the same every time."""
    figure.savefig(PICTURES / f"{name}.svg", metadata={"Date": None})


def main(folder: Path) -> None:
    """Train what is missing, count the answers, write figures and pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("CHARLM_CACHE", str(folder / "cache"))
    models = {(cell, gap): train(folder, cell, gap) for cell in CELLS for gap in GAPS}
    right = {cell: {gap: accuracy(models[cell, gap], gap) for gap in GAPS} for cell in CELLS}
    reach = {cell: gradients(models[cell, GAPS[-1]], GAPS[-1]) for cell in CELLS}
    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "charlm"
    draw_recall(right)
    draw_gradients(reach)
    unit = draw_gates(models["lstm", GAPS[-1]])
    figures = {"right": right, "gradient": reach, "unit": unit}
    (PICTURES / "recall.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(right, indent=1), {cell: (each[0], each[-1]) for cell, each in reach.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
