"""How a training ends: its best validation, and the report that ends a session."""

from typing import Any

from charlm.storage.run import Run
from charlm.training.counters import Counters
from charlm.training.reports import Done
from charlm.training.validation import Validation

__all__ = ["best_of", "done"]


def best_of(counters: Counters, validation: Validation) -> dict[str, Any] | None:
    """The content of ``best.json``: the best validation so far, or None."""
    if counters.best_step < 0:
        return None
    return {
        "step": counters.best_step,
        "valid_nll": counters.best_nll,
        "valid_bpc": counters.best_nll * validation.bits_per_char,
        "tokens": len(validation),
    }


def done(
    run: Run,
    counters: Counters,
    validation: Validation,
    *,
    reason: str,
    finished: bool,
    **more: Any,
) -> Done:
    """The last report of a session; ``more`` are the fields of ``Done`` that are not counted."""
    best = best_of(counters, validation) or {}
    return Done(
        run=str(run.folder),
        finished=finished,
        reason=reason,
        step=counters.step,
        best_step=best.get("step"),
        valid_nll=best.get("valid_nll"),
        valid_bpc=best.get("valid_bpc"),
        skipped_steps=counters.skipped,
        **more,
    )
