"""What training counts over all sessions; saved with every checkpoint."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from charlm.errors import CheckpointError
from charlm.storage.checkpoints import Checkpoint
from charlm.storage.curves import LARGEST
from charlm.storage.run import Run
from charlm.training.reports import Done
from charlm.training.validation import Validation

__all__ = ["Counters", "counters_of"]

LENGTHS = ("step", "tokens", "seconds", "log_bytes", "returns")
"""Counters that are never below zero."""


@dataclass
class Counters:
    """Counts of a run over all of its sessions; ``finished`` names a budget that is spent.

    ``next_evaluation`` is a fraction of the budget; ``stale`` counts the validations since the
    best; the plateau schedule divides the learning rate by ``divisor``; ``window_loss`` is the sum
    of the losses that the next line of the log averages.  ``returns`` counts how often training
    went back to a checkpoint because numbers stopped being finite.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    next_evaluation: float = 0.0
    evaluated_step: int = -1
    best_step: int = -1
    best_nll: float = math.inf
    stale: int = 0
    divisor: float = 1.0
    skipped: int = 0
    skipped_in_row: int = 0
    window_loss: float = 0.0
    log_bytes: int = 0
    finished: str = ""
    returns: int = 0

    def best(self, validation: Validation) -> dict[str, Any] | None:
        """The content of ``best.json``: the best validation so far, or None."""
        if self.best_step < 0:
            return None
        return {
            "step": self.best_step,
            "valid_nll": self.best_nll,
            "valid_bpc": self.best_nll * validation.bits_per_char,
            "tokens": len(validation),
        }

    def done(self, run: Run, validation: Validation, **more: Any) -> Done:
        """The last report of a session; ``more`` are the fields of ``Done`` that are not here."""
        best = self.best(validation) or {}
        return Done(
            run=str(run.folder), step=self.step, best_step=best.get("step"),
            valid_nll=best.get("valid_nll"), valid_bpc=best.get("valid_bpc"),
            skipped_steps=self.skipped, **more,
        )  # fmt: skip

    def to_table(self) -> dict[str, Any]:
        """The counts as a table for JSON, which has no infinity: None stands for it."""
        table = asdict(self)
        return table | {"best_nll": None if math.isinf(self.best_nll) else self.best_nll}

    @classmethod
    def from_table(cls, table: dict[str, Any]) -> Self:
        """Read ``to_table``'s table.  Raises ``ValueError``, ``KeyError`` or ``TypeError``."""
        table = {"returns": 0, **table}  # earlier versions did not count them
        values = {entry.name: table[entry.name] for entry in fields(cls)}
        if values["best_nll"] is None:
            values["best_nll"] = math.inf
        for entry in fields(cls):
            value: Any = values[entry.name]
            if entry.type is float and type(value) is int and abs(value) < LARGEST:
                value = values[entry.name] = float(value)
            negative = entry.name in LENGTHS and value < 0
            if type(value) is not entry.type or value != value or negative:
                raise ValueError(f"{entry.name} is {value!r}")
        return cls(**values)


def counters_of(found: Checkpoint, run: Run) -> Counters:
    """The counters of a checkpoint.  Raises ``CheckpointError`` if they cannot be read."""
    try:
        counters = Counters.from_table(found.state["counters"])
    except (KeyError, TypeError, ValueError):
        counters = Counters(step=-1)
    if counters.step != found.step:
        raise CheckpointError(
            f"the counters of step {found.step} in {run.folder} cannot be read",
            "remove that checkpoint to resume from the one before",
        )
    return counters
