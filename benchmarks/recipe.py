"""Re-run a recipe, as it is or changed, and compare with the figure that it states.

    python benchmarks/recipe.py tinyshakespeare-1min --seeds 1 2 3
    python benchmarks/recipe.py tinyshakespeare-1min --steps 1500 --out table.jsonl \\
        --change "weight drop" model.weight_drop=0.2 --change "no clipping" training.clip=0

Each training is a process of its own and takes the recipe's minutes, or so many steps: the latter
compares methods by what they see, whatever they cost.  The best checkpoint is scored on the part
that the recipe names, as one stream.  One line of JSON per training; what is in the file already is
not trained again.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

from charlm.training.recipes import Recipe, read_recipe

KEYS = {"nats/char": "nll", "bpc": "bpc", "bpb": "bpb", "perplexity": "perplexity"}
"""What ``charlm perplexity --json`` calls the metric of a recipe."""


def charlm(*arguments: str) -> list[dict[str, Any]]:
    """What a command prints with ``--json``; its messages go to the terminal."""
    command = [sys.executable, "-m", "charlm", *arguments, "--json"]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure(
    recipe: Recipe, source: str, changes: list[str], seed: int, steps: int
) -> dict[str, Any]:
    """Train once; the figure reached, the time of training and its speed."""
    budget = ["--steps", str(steps)] if steps else []
    settings = [part for change in changes for part in ("--set", change)]
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        options = ["--recipe", recipe.name, "--seed", str(seed), "--out", run, *budget, *settings]
        done = charlm("train", source, *options)[-1]
        (score,) = charlm("perplexity", run, "--part", recipe.part)
    key = KEYS[recipe.metric]
    figure = score["nll"] / score["chars"] if key == "nll" else score[key]
    return {
        "figure": round(figure, 4),
        "minutes": round(done["seconds"] / 60, 2),
        "tokens_per_second": round(done["tokens_per_second"]),
        "steps": done["step"],
        "best_step": done["best_step"],
    }


def main() -> None:
    """Train what is missing, then print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("recipe")
    parser.add_argument("--source", help="the text; by default the recipe's corpus")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--steps", type=int, default=0, help="instead of the recipe's minutes")
    parser.add_argument("--common", nargs="+", default=[], metavar="SETTING", help="of them all")
    parser.add_argument("--change", nargs="+", action="append", default=[], metavar="NAME SETTING")
    parser.add_argument("--out", type=Path, help="keep the figures here")
    options = parser.parse_args()
    recipe = read_recipe(options.recipe)
    known = options.out.read_text().splitlines() if options.out and options.out.exists() else []
    rows = [json.loads(line) for line in known]
    for name, *own in [["as it is"], *options.change]:
        changes = [*options.common, *own]
        for seed in options.seeds:
            cell = {"recipe": recipe.name, "name": name, "changes": changes, "seed": seed}
            cell["wanted_steps"] = options.steps
            if any(cell.items() <= row.items() for row in rows):
                continue
            source = options.source or recipe.corpus
            rows.append(cell | measure(recipe, source, changes, seed, options.steps))
            if options.out:
                with options.out.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
    print(f"{recipe.name} states {recipe.measured} in {recipe.minutes:g} minutes")
    for name in dict.fromkeys(row["name"] for row in rows):
        figures = [row["figure"] for row in rows if row["name"] == name]
        spread = f" (spread {max(figures) - min(figures):.4f} of {len(figures)} seeds)"
        minutes = mean(row["minutes"] for row in rows if row["name"] == name)
        print(f"{name:30} {mean(figures):.4f}{spread} {recipe.metric}, {minutes:.2f} minutes")


if __name__ == "__main__":
    main()
