"""What ``charlm info`` shows of one run, and of several side by side."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from charlm.console.figures import print_pairs
from charlm.console.streams import compact, duration, on_one_line, print_json
from charlm.console.tables import print_aligned
from charlm.errors import counted
from charlm.storage.curves import TrainingCurve, read_curves
from charlm.storage.run import Run
from charlm.storage.summary import RunSummary, differing_settings, number, summarise_run, table

__all__ = ["show_runs"]

UNKNOWN = "-"

BARS = "▁▂▃▄▅▆▇█"
"""Eight heights of a curve that is drawn in one line."""

LONGEST = 12
"""Characters of such a curve at most."""

DRAWN = {"loss": "loss", "valid_nll": "valid nll"}
"""The curves that are drawn, by their key in the log, with their names here; nats per token."""


def show_runs(runs: Sequence[Run], *, as_json: bool) -> None:
    """Print what each run contains: one JSON object a line, pairs for one run, else a table."""
    summaries = [summarise_run(run) for run in runs]
    if as_json:
        for summary in summaries:
            print_json(asdict(summary))
        return
    curves = [{each.key: each for each in read_curves(run.log.path)} for run in runs]
    if len(summaries) == 1:
        drawn = {
            name: f"{curves[0][key].values[0]:.3f} {sparkline(curves[0][key])} "
            f"{curves[0][key].values[-1]:.3f} nats/token"
            for key, name in DRAWN.items()
            if key in curves[0]
        }
        lines = {**facts(summaries[0]), **drawn}
        print_pairs({name: on_one_line(text) for name, text in lines.items()})
    else:
        print_table(summaries, curves)


def sparkline(curve: TrainingCurve) -> str:
    """A curve as a line of bars, from its lowest to its highest value."""
    values = curve.shortened(LONGEST).values
    low, span = min(values), max(values) - min(values)
    return "".join(BARS[round((value - low) / span * 7) if span else 0] for value in values)


def facts(summary: RunSummary) -> dict[str, str]:
    """The lines about one run, by name."""
    settings, train = summary.settings, table(summary.text, "train")
    counts = (counted(int(number(train, unit) or 0), noun) for unit, noun in UNITS.items())
    checkpoints = ", ".join(
        f"{entry['step']:,}" + ("" if entry["good"] else " (damaged)")
        for entry in summary.checkpoints
    )
    return {
        "run": summary.run,
        **({"made": made_at(summary.made)} if summary.made else {}),
        **({"base": describe_base(summary.base)} if summary.base else {}),
        "text": f"{', '.join(settings['data']['sources'])}: {', '.join(counts)} to train on"
        if train
        else "unknown: an imported model",
        "tokenizer": f"{settings['tokenizer']['kind']}, vocabulary {summary.vocab_size:,}",
        "model": summary.model,
        **describe_training(summary),
        "trained": f"{summary.progress}, {duration(summary.seconds)}"
        + (" (finished)" if summary.finished else ""),
        "validation": describe_best(summary),
        "checkpoints": checkpoints or "none yet",
        "disk space": f"{compact(summary.bytes)}B",
    }


UNITS = {"chars": "character", "tokens": "token"}


def made_at(made: dict[str, Any]) -> str:
    """When and where training began, as far as the run knows it."""
    parts = [made.get(name) for name in ("date", "processor", "machine")]
    versions = [f"torch {made['torch']}"] if "torch" in made else []
    return ", ".join([*(str(part) for part in parts if part), *versions])


def describe_base(base: dict[str, Any]) -> str:
    """The run that a run was begun from, and the runs before that."""
    others = base.get("others")
    names = [str(base.get("run")), *(others if isinstance(others, list) else [])]
    step = number(base, "step") or 0
    return f"{names[0]}, step {step:,.0f}" + "".join(f", from {name}" for name in names[1:])


def describe_training(summary: RunSummary) -> dict[str, str]:
    """The settings of training that one asks for first; n-grams have none."""
    model, training = summary.settings["model"], summary.settings["training"]
    if model["kind"] == "ngram":
        return {}
    given = {
        "dropout": model.get("dropout"),
        "learning rate": training.get("learning_rate"),
        "seed": training.get("seed"),
    }
    return {"training": ", ".join(f"{name} {value}" for name, value in given.items())}


def describe_best(summary: RunSummary) -> str:
    """The best validation; ``best.json`` is only a hint and may lack figures."""
    nll, bpc = summary.valid_nll, summary.valid_bpc
    if nll is None or bpc is None:
        return "none yet"
    best = f"{summary.unit} {(summary.best or {})['step']:,}"
    return f"{nll:.4f} nats/token, {bpc:.3f} bpc ({best})"


def shown(value: Any) -> str:
    """The value of a setting as a cell."""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def print_table(summaries: list[RunSummary], curves: list[dict[str, TrainingCurve]]) -> None:
    """A column for each run: settings that differ, then how far and how well it was trained, and
    its curves.
    """
    rows = {
        name: [UNKNOWN if value is None else shown(value) for value in values]
        for name, values in differing_settings(summaries).items()
    }
    rows |= {
        "parameters": [f"{each.parameters:,}" for each in summaries],
        "step": [f"{each.step:,}" for each in summaries],
        "valid bpc": [
            UNKNOWN if each.valid_bpc is None else f"{each.valid_bpc:.3f}" for each in summaries
        ],
        "disk space": [f"{compact(each.bytes)}B" for each in summaries],
    }
    for key, name in DRAWN.items():
        if any(key in of_run for of_run in curves):
            rows[name] = [sparkline(of_run[key]) if key in of_run else UNKNOWN for of_run in curves]
    cells = ([name, *map(on_one_line, values)] for name, values in rows.items())
    print_aligned([["run", *(each.run for each in summaries)], *cells], left=[0])
