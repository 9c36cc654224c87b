"""Train a stacked LSTM language model on any text, let it write, and measure how well it predicts.

    import charlm

    for report in charlm.train("book.txt", out="runs/book", minutes=2):
        print(report)
    model = charlm.load("runs/book")
    print(model.generate("It was", length=200))
    print(model.score("It was the age of wisdom.").bpc)
    print(charlm.compare(model, "runs/other", part="test"))
    charlm.report("runs/book", "book.html")

``train``, ``load``, ``compare``, ``report`` and ``Model`` are all that is needed;
``help(charlm.Model)`` says what a model can do.  ``export_model``, ``export_page``,
``import_model``, ``push`` and ``pull`` exchange models with other programs and people.  Every error
that a caller can cause is a ``CharlmError`` with its cause and, in ``hint``, the way out.  Nothing
is loaded before it is used.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charlm.api import Model, compare, load, train
    from charlm.errors import CharlmError
    from charlm.exchange.exporting import export_model
    from charlm.exchange.hub import pull, push
    from charlm.exchange.importing import import_model
    from charlm.web.reports import report
    from charlm.web.writer_page import export_page

__all__ = [
    "CharlmError",
    "Model",
    "__version__",
    "compare",
    "export_model",
    "export_page",
    "import_model",
    "load",
    "pull",
    "push",
    "report",
    "train",
]

__version__ = "0.1.0"

# Read when torch is loaded.  By default OpenMP spins for milliseconds at each barrier of each time
# step; with other busy processes on the machine that made training a hundred times slower.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

HOMES = {
    "CharlmError": "charlm.errors",
    "Model": "charlm.api",
    "compare": "charlm.api",
    "export_model": "charlm.exchange.exporting",
    "export_page": "charlm.web.writer_page",
    "import_model": "charlm.exchange.importing",
    "load": "charlm.api",
    "pull": "charlm.exchange.hub",
    "push": "charlm.exchange.hub",
    "report": "charlm.web.reports",
    "train": "charlm.api",
}
"""The module that holds each name, imported when the name is first used."""


def __getattr__(name: str) -> Any:
    """Import what ``name`` stands for.  Raises ``AttributeError`` for anything else."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The names of the front door, for completion, beside Python's own."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
