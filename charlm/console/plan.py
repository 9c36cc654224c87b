"""What would be trained."""

import sys
from collections.abc import Iterable
from typing import Any

import tomli_w

from charlm.console.reports import counted
from charlm.console.streams import print_json
from charlm.console.training import Display
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.training.launch import TrainingPlan
from charlm.training.reports import Note

__all__ = ["show_plan"]


def show_plan(
    records: Iterable[Preparing | Prepared | Note | TrainingPlan], *, as_json: bool
) -> None:
    """Print the run folder, the text, the size of the model and all settings; as TOML or JSON."""
    with Display() as display:
        for record in records:
            if isinstance(record, TrainingPlan):
                plan = record
            else:
                display.show(record)
    about: dict[str, Any] = {"run": plan.run}
    if plan.parameters is not None:
        about["parameters"] = plan.parameters
    if plan.prepared is not None:
        about["text"] = counted(plan.prepared)
    settings = plan.config.useful_tables()
    if as_json:
        print_json({"type": "plan", **about, "settings": settings})
    else:
        sys.stdout.write(tomli_w.dumps({**about, **settings}))
