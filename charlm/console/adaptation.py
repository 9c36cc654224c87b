"""Evaluation-time methods on the screen: their tuning as it goes on, and the options in use."""

from collections.abc import Iterable

from charlm.console.streams import talk
from charlm.errors import counted
from charlm.inference.adaptation.adapter import Adapted
from charlm.inference.adaptation.methods import Evaluation
from charlm.inference.adaptation.tuning import Trial, TuningText

__all__ = ["options_of", "show_adapted"]


def show_adapted(records: Iterable[TuningText | Trial | Adapted]) -> Adapted:
    """Print trials as they come; returns the last record, the run with its methods."""
    found = None
    for record in records:
        if isinstance(record, TuningText):
            talk().print(
                f"tuning on {counted(record.tokens, 'token')} of {', '.join(record.names)}"
            )
        elif isinstance(record, Trial):
            mark = "*" if record.better else " "
            options = options_of(record.evaluation)
            talk().print(f"  {record.nll:.4f} {mark} {options}", markup=False)
        else:
            found = record
    assert found is not None
    if found.tuned_on:
        talk().print(f"found {options_of(found.evaluation)}", markup=False)
    return found


def options_of(evaluation: Evaluation) -> str:
    """The options that ask for these methods with these values."""
    return " ".join(f"--{method.name} {method}" for method in evaluation.methods)
