"""The grid that the rules of ``training/budget.py`` were read from.

    python benchmarks/budget_grid.py TEXT --out grid.jsonl --chars 1000000 --tokens 4000000 \\
        --hidden 128 256 --dropout 0 0.25

Trains a character model for every combination: on the first so many characters of the text, for so
many processed tokens, whatever time that takes; measured is the nll on the last tenth of the text
(at most 131,072 characters of it), at the end of training.  One line of JSON per model; what is in
the file already is not trained again.
"""

import argparse
import itertools
import json
import os
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the program does, before torch is loaded

from charlm.config import Config
from charlm.training.launch import launch
from charlm.training.reports import Done, Evaluated

AXES = {
    "chars": 1_000_000,
    "tokens": 4_000_000,
    "hidden": 256,
    "layers": 1,
    "dropout": 0.25,
    "weight_drop": 0.0,
    "weight_decay": 0.01,
    "rate": 0.0,
    "lanes": 32,
    "bptt": 64,
    "seed": 1,
}
"""The settings of a combination and their defaults; a learning rate of 0 depends on the size."""


def measure(text: str, cell: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train one model; the last validation's nll, and how fast it went."""
    heldout = text[-(len(text) // 10) :][:131_072]
    (folder / "train.txt").write_text(text[: cell["chars"]], encoding="utf-8", newline="")
    (folder / "valid.txt").write_text(heldout, encoding="utf-8", newline="")
    steps = max(1, cell["tokens"] // (cell["lanes"] * cell["bptt"]))
    config = Config.from_tables(
        {
            "data": {"sources": [f"{folder}/train.txt"], "valid": [f"{folder}/valid.txt"]},
            "model": {
                "hidden_size": cell["hidden"],
                "num_layers": cell["layers"],
                "dropout": cell["dropout"],
                "weight_drop": cell["weight_drop"],
            },
            "training": {
                "steps": steps,
                "batch_size": cell["lanes"],
                "bptt": cell["bptt"],
                "learning_rate": cell["rate"] or 6e-3 * (256 / cell["hidden"]) ** 0.5,
                "weight_decay": cell["weight_decay"],
                "seed": cell["seed"],
                "evaluations": 4,
                "valid_tokens": 0,
                "save_minutes": 1e6,
            },
        }
    )
    last: dict[str, Any] = {}
    for record in launch(config, folder / "run"):
        if isinstance(record, Evaluated):
            last["nll"] = round(record.valid_nll, 5)
        if isinstance(record, Done):
            last |= {"best": round(record.valid_nll or 0, 5), "rate_seen": record.tokens_per_second}
    return cell | last


def main() -> None:
    """Train every combination that is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("text", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    for axis, default in AXES.items():
        name = f"--{axis.replace('_', '-')}"
        parser.add_argument(name, type=type(default), nargs="+", default=[default])
    options = parser.parse_args()
    text = options.text.read_bytes().decode("utf-8")
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    known = [{axis: json.loads(line).get(axis, AXES[axis]) for axis in AXES} for line in lines]
    for values in itertools.product(*(getattr(options, axis) for axis in AXES)):
        cell = dict(zip(AXES, values, strict=True))
        if cell in known:
            continue
        with tempfile.TemporaryDirectory() as folder:
            line = json.dumps(measure(text, cell, Path(folder)))
        print(line, flush=True)
        with options.out.open("a") as file:
            file.write(line + "\n")


if __name__ == "__main__":
    main()
