"""What a run folder holds."""

from typing import Any

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
    model = run.config.model
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
            "model": f"{model.num_layers} x {model.hidden_size} {model.cell}, "
            f"{about['parameters']:,} parameters",
            "trained": f"{about['step']:,} steps, {about['tokens']:,} tokens, "
            f"{duration(about['seconds'])}" + (" (finished)" if about["finished"] else ""),
            "validation": describe_best(about["best"]),
            "checkpoints": checkpoints or "none yet",
        }
    )


def describe_best(best: dict[str, Any] | None) -> str:
    """The best validation; ``best.json`` is only a hint and may lack figures."""
    best = best or {}
    nll, bpc = best.get("valid_nll"), best.get("valid_bpc")
    if not isinstance(nll, float) or not isinstance(bpc, float):
        return "none yet"
    return f"{nll:.4f} nats/token, {bpc:.3f} bpc (step {best['step']:,})"


def describe(run: Run) -> dict[str, Any]:
    """Settings, counts, checkpoints (each verified) and how far training has come."""
    checkpoints, counters = [], {}
    for path in list_checkpoints(run.checkpoints):
        try:
            found = read_checkpoint(path)
        except CheckpointError as error:
            checkpoints.append({"step": int(path.name[5:]), "good": False, "why": str(error)})
            continue
        checkpoints.append({"step": found.step, "good": True})
        counters = found.state.get("counters", {})
    tokenizer = run.tokenizer()
    model = LanguageModel(run.config.model, tokenizer.vocab_size)
    return {
        "run": str(run.folder),
        "text": run.origin.get("counts", {}),
        "vocab_size": tokenizer.vocab_size,
        "parameters": model.count_parameters(),
        "step": counters.get("step", 0),
        "tokens": counters.get("tokens", 0),
        "seconds": counters.get("seconds", 0.0),
        "finished": bool(counters.get("finished")),
        "best": run.best(),
        "checkpoints": checkpoints,
        "settings": run.config.to_tables(),
    }
