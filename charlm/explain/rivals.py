"""Memory beside that of networks with other cells, trained as a run was."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from charlm.config import Config
from charlm.config.section import unknown_name
from charlm.data.preparation.prepared import Prepared, Preparing
from charlm.errors import ConfigError
from charlm.explain.activations import TokensRead
from charlm.explain.memory import Memory, measure_memory
from charlm.explain.reading import TokenizedText
from charlm.inference.loading import Loaded, load_run, require_recurrent
from charlm.model.cells import CELLS
from charlm.storage.summary import summarise_run
from charlm.training.launch import launch
from charlm.training.reports import Report

__all__ = ["REACH", "compare_memory"]

REACH = 100
"""Tokens that predictions are traced back by default."""


def compare_memory(
    loaded: Loaded, text: TokenizedText, against: Sequence[str] = (), reach: int = REACH
) -> Iterator[TokensRead | Memory | Preparing | Prepared | Report]:
    """Trace predictions of a text back: a ``Memory`` of the run, and one for each of the cells
    ``against`` (like "rnn"), after the reports of its training.

    A rival is trained on the run's text with its settings for as many steps, into the folder
    RUN-CELL beside it; a training that was stopped goes on, and one that is done is only loaded.
    Raises ``ConfigError`` for a wrong cell, and what training and ``measure_memory`` do.
    """
    check_rivals(loaded, against)
    yield from measure_memory(loaded, text, reach)
    for cell in against:
        folder = loaded.run.folder.with_name(f"{loaded.run.folder.name}-{cell}")
        yield from launch(rival_config(loaded, cell), folder, text_of=loaded.run)
        yield from measure_memory(load_run(folder, device=str(loaded.model.device)), text, reach)


def check_rivals(loaded: Loaded, cells: Sequence[str]) -> None:
    """Raise ``ConfigError`` for a kind of cell that is unknown or the run's own, and
    ``ModelError`` for a run of another kind.
    """
    own = require_recurrent(loaded).config.cell
    for cell in cells:
        if cell not in CELLS:
            raise unknown_name(f"cell `against={cell!r}`", cell, list(CELLS))
        if cell == own:
            raise ConfigError(f"the run is an {cell} itself", "give another cell: `against='rnn'`")


def rival_config(loaded: Loaded, cell: str) -> Config:
    """The settings of a run with another cell, its budget as steps."""
    config = loaded.run.config
    steps = summarise_run(loaded.run).step
    training = replace(config.training, minutes=None, epochs=None, steps=steps)
    return replace(config, model=replace(config.model, cell=cell), training=training)
