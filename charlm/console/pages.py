"""Show that a report is being made, and where it is."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.progress import SpinnerColumn

from charlm.console.streams import print_named, progress_bar, talk
from charlm.explain.run_report import Reporting
from charlm.inference.scoring.perplexity import ScoringProgress

__all__ = ["draw_reporting"]


def draw_reporting(records: Iterable[Reporting | ScoringProgress], out: Path) -> None:
    """Say on a terminal what is being measured, and where the report is when it is written."""
    with progress_bar(SpinnerColumn(), "{task.description}") as progress:
        task: Any = progress.add_task("reading", total=None)
        for record in records:
            what = record.what if isinstance(record, Reporting) else f"scoring {record.text}"
            progress.update(task, description=what)
    print_named(talk(), "saved in", str(out))
