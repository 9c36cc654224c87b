"""What a run folder holds."""

from typing import Any

from charlm.config import ModelConfig
from charlm.console.figures import print_pairs
from charlm.console.streams import duration, print_json
from charlm.errors import CheckpointError
from charlm.model.language_model import LanguageModel
from charlm.storage.checkpoints import list_checkpoints, read_checkpoint
from charlm.storage.run import Run

__all__ = ["show_run"]


def show_run(run: Run, *, as_json: bool) -> None:
    """Print what ``describe`` finds."""
    about = describe(run)
    if as_json:
        print_json(about)
        return
    train = about["text"].get("train", {})
    checkpoints = ", ".join(
        f"{entry['step']:,}" + ("" if entry["good"] else " (damaged)")
        for entry in about["checkpoints"]
    )
    print_pairs(
        {
            "run": str(run.folder),
            "text": f"{', '.join(run.config.data.sources)}: {train.get('chars', 0):,} characters, "
            f"{train.get('tokens', 0):,} tokens to train on",
            "tokenizer": f"{run.config.tokenizer.kind}, vocabulary {about['vocab_size']:,}",
            "model": describe_model(run.config.model, about),
            "trained": f"{about['step']:,} steps, {about['tokens']:,} tokens, "
            f"{duration(about['seconds'])}" + (" (finished)" if about["finished"] else ""),
            "validation": describe_best(about["best"]),
            "checkpoints": checkpoints or "none yet",
        }
    )


def describe_model(config: ModelConfig, about: dict[str, Any]) -> str:
    """What kind of model, and how large."""
    if config.kind == "ngram":
        return f"n-grams of up to {about['step']} tokens, {about['parameters']:,} in all"
    size = f"{config.num_layers} x {config.hidden_size} {config.cell}"
    return f"{size}, {about['parameters']:,} parameters"


def describe_best(best: dict[str, Any] | None) -> str:
    """The best validation; ``best.json`` is only a hint and may lack figures."""
    best = best or {}
    nll, bpc = best.get("valid_nll"), best.get("valid_bpc")
    if not isinstance(nll, float) or not isinstance(bpc, float):
        return "none yet"
    return f"{nll:.4f} nats/token, {bpc:.3f} bpc (step {best['step']:,})"


def describe(run: Run) -> dict[str, Any]:
    """Settings, counts, checkpoints (each verified) and how far training has come."""
    checkpoints, state = [], dict[str, Any]()
    for path in list_checkpoints(run.checkpoints):
        try:
            found = read_checkpoint(path)
        except CheckpointError as error:
            checkpoints.append({"step": int(path.name[5:]), "good": False, "why": str(error)})
            continue
        checkpoints.append({"step": found.step, "good": True})
        state = found.state
    tokenizer, counters = run.tokenizer(), state.get("counters", {})
    parameters = state.get("parameters", 0)
    if run.config.model.kind == "recurrent":
        parameters = LanguageModel(run.config.model, tokenizer.vocab_size).count_parameters()
    return {
        "run": str(run.folder),
        "text": run.origin.get("counts", {}),
        "vocab_size": tokenizer.vocab_size,
        "parameters": parameters,
        "step": counters.get("step", 0),
        "tokens": counters.get("tokens", 0),
        "seconds": counters.get("seconds", 0.0),
        "finished": bool(counters.get("finished")),
        "best": run.best(),
        "checkpoints": checkpoints,
        "settings": run.config.to_tables(),
    }
