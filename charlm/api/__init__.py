"""The front door: train a model, load one, compare two.

A run or a file is named by a ``str`` or a ``Path``.  Where text is taken (``compare``, and
``score``, ``perplexity`` and ``surprisal`` of a model), a ``str`` is the text itself, a ``Path`` a
file, folder or corpus, a list several of either, and ``part="test"`` a part of the text that the
run was made from.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charlm.api.arguments import (
    Texts,
    check_part,
    last_of,
    listed,
    naming_unknown,
    run_folder,
    within,
)
from charlm.api.model import Model
from charlm.inference.loading import load_run

if TYPE_CHECKING:
    from charlm.data.preparation.prepared import Prepared, Preparing
    from charlm.inference.comparison.difference import Comparison
    from charlm.training.reports import Report

__all__ = ["Model", "compare", "load", "train"]


@naming_unknown
def load(run: str | Path, step: int | None = None, device: str = "cpu") -> "Model":
    """Load the model of a run: of ``step``, or of the best checkpoint on the validation text.

    ``run`` is a folder, or ``"hf:owner/name"`` on the Hugging Face Hub.  ``device``
    is ``"cpu"``, ``"cuda"``, ``"cuda:N"``, ``"mps"`` or ``"auto"``.  Raises ``CharlmError`` if
    ``run`` is no run or cannot be read.

    Example::

        model = charlm.load("runs/book")
        print(model)
    """
    return Model(load_run(run_folder(run), step=step, device=device))


def train(
    sources: str | Path | Iterable[str | Path] = (), out: str | Path | None = None, **settings: Any
) -> "Iterator[Preparing | Prepared | Report]":
    """Train a model on text: returns a generator of reports, which trains while it is iterated.

    ``sources`` names a file, folder, pattern or corpus, or is a list of them; ``out`` is the run
    folder, by default ``runs/NAME``.  A run that exists is resumed, also by
    ``train(out="runs/book")`` alone.  ``settings`` are those of docs/settings.md, like
    ``minutes=2``, ``hidden_size=128`` or ``tokenizer="bpe"``, a ``recipe``, or a ``config_file``
    in TOML, and ``base="runs/other"`` trains that run on with this text (docs/training-on.md);
    what is left out is decided as ``charlm train`` decides it.  The last report is a
    ``Done``.  Raises ``CharlmError``: for wrong settings at once, for the rest while iterated.

    Example::

        for report in charlm.train("book.txt", out="runs/book", steps=40, hidden_size=32):
            print(report)
    """
    from charlm.training import launch

    return launch.train(sources, out, find_run=run_folder, **settings)


@naming_unknown
def compare(
    a: "Model | str | Path", b: "Model | str | Path", text: Texts | None = None, *,
    part: str | None = None, most: int = 10,
) -> "Comparison":  # fmt: skip
    """Measure which of two models predicts a text better, by how much, and how certain that is.

    ``a`` and ``b`` are models or run folders; ``text`` or ``part`` is what they are compared on
    (``help(charlm.api)`` says how texts are given).  ``.bpb`` is A - B in bits per byte with its
    95 % interval, negative where A is better; ``.verdict`` is "A", "B", or None where no
    difference is shown; ``.examples`` are the ``most`` units where either model is better by most.

    Example::

        print(charlm.compare(model, "runs/other", Path("book.txt")).bpb)
    """
    from charlm.inference.comparison.difference import Comparison, compare_runs

    first, second = (each if isinstance(each, Model) else load(each) for each in (a, b))
    check_part(part)
    within(0, most=most)
    records = compare_runs(first.loaded, second.loaded, listed(text), part=part, most=most)
    return last_of(records, Comparison)
