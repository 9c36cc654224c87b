"""What a run folder contains, counted and verified."""

from dataclasses import dataclass
from typing import Any

from charlm.config import Tables
from charlm.errors import CheckpointError
from charlm.model.language_model import LanguageModel
from charlm.storage.checkpoints import list_checkpoints, read_checkpoint, step_of
from charlm.storage.run import Run

__all__ = ["Description", "describe"]


@dataclass(frozen=True)
class Description:
    """A run: its text, model, settings, checkpoints and how far training has come.

    ``text`` counts the parts of the text by name; ``tokens`` and ``seconds`` count all sessions of
    training; ``checkpoints`` says of each whether it is good; ``made`` says when and on what kind
    of machine the run began, and is empty for older runs; ``bytes`` are on the disk.
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
    settings: Tables


def describe(run: Run) -> Description:
    """Describe a run; every checkpoint is read and verified.  Raises ``TokenizerError``."""
    checkpoints, state = [], dict[str, Any]()
    for path in list_checkpoints(run.checkpoints):
        try:
            found = read_checkpoint(path)
        except CheckpointError as error:
            checkpoints.append({"step": step_of(path), "good": False, "why": str(error)})
            continue
        checkpoints.append({"step": found.step, "good": True})
        state = found.state
    tokenizer, counters = run.tokenizer(), state.get("counters", {})
    parameters = state.get("parameters", 0)
    if run.config.model.kind == "recurrent":
        parameters = LanguageModel(run.config.model, tokenizer.vocab_size).count_parameters()
    return Description(
        run=str(run.folder),
        text=run.origin.get("counts", {}),
        vocab_size=tokenizer.vocab_size,
        parameters=parameters,
        step=counters.get("step", 0),
        tokens=counters.get("tokens", 0),
        seconds=counters.get("seconds", 0.0),
        finished=bool(counters.get("finished")),
        best=run.best(),
        checkpoints=tuple(checkpoints),
        bytes=sum(path.stat().st_size for path in run.folder.rglob("*") if path.is_file()),
        made=run.origin.get("made", {}),
        settings=run.config.to_tables(),
    )
