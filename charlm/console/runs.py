"""What a run folder contains."""

import dataclasses
from typing import Any

from charlm.config import Config
from charlm.console.figures import print_pairs
from charlm.console.streams import duration, print_json
from charlm.storage.description import Description, describe
from charlm.storage.run import Run

__all__ = ["show_run"]


def show_run(run: Run, *, as_json: bool) -> None:
    """Print a run's description, as rows for people or as one JSON object."""
    about = describe(run)
    if as_json:
        print_json(dataclasses.asdict(about))
        return
    train = about.text.get("train", {})
    rows = {
        "run": f"{about.run} ({about.bytes / 1e6:,.1f} MB on the disk)",
        "text": f"{', '.join(run.config.data.sources)}: {train.get('chars', 0):,} characters, "
        f"{train.get('tokens', 0):,} tokens to train on",
        "tokenizer": f"{run.config.tokenizer.kind}, vocabulary {about.vocab_size:,}",
        "model": model_row(run.config, about),
        "settings": settings_row(run.config),
        "trained": f"{about.step:,} steps, {about.tokens:,} tokens, "
        f"{duration(about.seconds)}" + " (finished)" * about.finished,
        "begun": begun_row(about.made),
        "validation": best_row(about.best),
        "checkpoints": checkpoints_row(about),
    }
    print_pairs({name: row for name, row in rows.items() if row})


def model_row(config: Config, about: Description) -> str:
    """What kind of model, and how large."""
    model = config.model
    if model.kind == "ngram":
        return f"n-grams of up to {about.step} tokens, {about.parameters:,} in all"
    size = f"{model.num_layers} x {model.hidden_size} {model.cell}"
    return f"{size}, {about.parameters:,} parameters"


def settings_row(config: Config) -> str:
    """The settings of training that are most asked for; those of n-grams are in the model's row."""
    training = config.training
    if config.model.kind == "ngram":
        return ""
    return (
        f"dropout {config.model.dropout:g}, learning rate {training.learning_rate:g}, batch size "
        f"{training.batch_size}, bptt {training.bptt}, seed {training.seed}"
    )


def begun_row(made: dict[str, Any]) -> str:
    """When and on what the run began; empty for a run of an earlier version."""
    if not made:
        return ""
    machine = made.get("processor") or made.get("machine", "")
    return f"{made.get('date', '')}, {machine}, torch {made.get('torch', '')}"


def best_row(best: dict[str, Any] | None) -> str:
    """The best validation; ``best.json`` may lack figures."""
    best = best or {}
    nll, bpc = best.get("valid_nll"), best.get("valid_bpc")
    if not isinstance(nll, float) or not isinstance(bpc, float):
        return "none yet"
    return f"{nll:.4f} nats/token, {bpc:.3f} bpc (step {best['step']:,})"


def checkpoints_row(about: Description) -> str:
    """The steps of the checkpoints, damaged ones marked."""
    steps = (f"{e['step']:,}" + " (damaged)" * (not e["good"]) for e in about.checkpoints)
    return ", ".join(steps) or "none yet"
