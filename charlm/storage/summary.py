"""What a run holds, gathered from its folder: settings, text, checkpoints, progress."""

import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from charlm.config import Config
from charlm.errors import CheckpointError, counted
from charlm.model.language_model import LanguageModel
from charlm.storage.checkpoints import list_checkpoints, read_checkpoint, step_of
from charlm.storage.curves import is_number
from charlm.storage.run import Run

__all__ = ["RunSummary", "differing_settings", "summarise_run"]


@dataclass(frozen=True)
class RunSummary:
    """The contents of a run, as ``charlm info --json`` prints them.

    ``text`` holds the counts of each part of the text, ``made`` when and where training began,
    ``base`` the run that it was begun from (empty for none),
    ``checkpoints`` an entry for each checkpoint, which was read and verified, and ``best`` the
    content of ``best.json``.  ``step``, ``tokens`` and ``seconds`` say how far training has come,
    ``bytes`` the disk space of the folder.  ``settings`` leaves out what n-grams do without.
    """

    run: str
    text: dict[str, Any]
    vocab_size: int
    parameters: int
    step: int
    tokens: int
    seconds: float
    finished: bool
    best: dict[str, Any] | None
    checkpoints: tuple[dict[str, Any], ...]
    bytes: int
    made: dict[str, Any]
    base: dict[str, Any]
    settings: dict[str, Any]

    @property
    def valid_bpc(self) -> float | None:
        """Bits per character on the validation text, of the best checkpoint."""
        return number(self.best or {}, "valid_bpc")

    @property
    def valid_nll(self) -> float | None:
        """Nats per token on the validation text, of the best checkpoint."""
        return number(self.best or {}, "valid_nll")

    @property
    def model(self) -> str:
        """What kind of model, and how large."""
        model, size = self.settings["model"], f"{self.parameters:,}"
        if model["kind"] == "ngram":
            order = model.get("order") or self.step
            return f"n-grams of up to {counted(order, 'token')}, {size} in all"
        return f"{model['num_layers']} x {model['hidden_size']} {model['cell']}, {size} parameters"

    @property
    def unit(self) -> str:
        """What training counts: steps, or the orders of n-grams."""
        return "order" if self.settings["model"]["kind"] == "ngram" else "step"

    @property
    def progress(self) -> str:
        """How far training has come: the step, or the order that n-grams are counted up to."""
        return f"{counted(self.step, self.unit)}, {counted(self.tokens, 'token')}"


def summarise_run(run: Run) -> RunSummary:
    """Read all of a run but its weights' values, and verify each checkpoint.

    Raises ``TokenizerError`` or ``CheckpointError`` if the tokenizer cannot be read.
    """
    checkpoints, state = [], dict[str, Any]()
    for path in list_checkpoints(run.checkpoints):
        try:
            state = read_checkpoint(path).state
        except CheckpointError as error:
            if path.exists():  # a training process may have removed it meanwhile
                checkpoints.append({"step": step_of(path), "good": False, "why": str(error)})
        else:
            checkpoints.append({"step": step_of(path), "good": True})
    tokenizer, counters = run.tokenizer(), table(state, "counters")
    parameters = number(state, "parameters")
    if run.config.model.kind != "ngram":
        parameters = LanguageModel(run.config.model, tokenizer.vocab_size).count_parameters()
    return RunSummary(
        run=str(run.folder),
        text=table(run.origin, "counts"),
        vocab_size=tokenizer.vocab_size,
        parameters=int(parameters or 0),
        step=int(number(counters, "step") or 0),
        tokens=int(number(counters, "tokens") or 0),
        seconds=float(number(counters, "seconds") or 0),
        finished=bool(counters.get("finished")),
        best=run.best(),
        checkpoints=tuple(checkpoints),
        bytes=size_of(run.folder),
        made=table(run.origin, "made"),
        base=table(run.origin, "base"),
        settings=run.config.useful_tables(),
    )


def differing_settings(summaries: list[RunSummary]) -> dict[str, list[Any]]:
    """Settings, as ``section.key``, that are not equal in all runs -> their values in each.

    A run without a setting that has its default in all others does not differ from them.
    """
    tables = [*(each.settings for each in summaries), Config().with_defaults().to_tables()]
    *flat, usual = (
        {f"{name}.{key}": value for name, keys in each.items() for key, value in keys.items()}
        for each in tables
    )
    names = list(dict.fromkeys(name for each in flat for name in each))
    values = {name: [each.get(name) for each in flat] for name in names}
    return {
        name: found
        for name, found in values.items()
        if any(value not in (None, usual.get(name)) for value in found)
        and found != found[:1] * len(found)
    }


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; links are not followed."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # a training process may remove it meanwhile
            found = path.lstat()
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


def table(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A table of a file that anybody may have written; an empty one for anything else."""
    value = tables.get(name)
    return value if isinstance(value, dict) else {}


def number(entries: Mapping[str, Any], name: str) -> float | None:
    """A finite number of a file that anybody may have written; None for anything else."""
    return entries.get(name) if is_number(entries.get(name)) else None
