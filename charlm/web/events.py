"""Curves of trainings as TensorBoard events (the extra ``tensorboard``)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from charlm import durable
from charlm.errors import CharlmError, CorpusError
from charlm.storage.curves import TrainingCurve

__all__ = ["ENDING", "check_events", "write_events"]

ENDING = ".tensorboard"
"""How the name of a folder of events ends."""


def check_events(folder: Path) -> None:
    """Raise ``CorpusError`` for a folder that exists, or whose own folder does not, and
    ``CharlmError`` where tensorboard is not installed.
    """
    if folder.exists():
        raise CorpusError(f"{folder} exists already", "choose another `out`, or remove it first")
    durable.check_output(folder)
    event_writer()


def write_events(runs: Mapping[str, Sequence[TrainingCurve]], folder: Path) -> None:
    """Write the new folder ``folder``, with a folder for each run that TensorBoard shows by the
    name of the run's own folder, at the steps and times of its log.

    Raises what ``check_events`` does.
    """
    check_events(folder)
    writer_of = event_writer()
    try:
        durable.remove_leftovers(folder.resolve())
        with durable.write_folder(folder) as temporary:
            for number, (run, curves) in enumerate(runs.items(), start=1):
                name = Path(run).resolve().name
                taken = (temporary / name).exists()
                writer = writer_of(str(temporary / (f"{name}-{number}" if taken else name)))
                for curve in curves:
                    for step, value, time in zip(
                        curve.steps, curve.values, curve.times, strict=True
                    ):
                        writer.add_scalar(curve.key, value, step, walltime=time)
                writer.close()
    except OSError as error:
        raise CorpusError(
            f"{folder} cannot be written: {error.strerror or error}",
            "choose another `out`, where there is space",
        ) from None


def event_writer() -> Any:
    """The class that writes events.  Raises ``CharlmError`` where tensorboard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise CharlmError(
            "events for TensorBoard need the package tensorboard, which is not installed",
            "pip install -c constraints.txt -e '.[tensorboard]', or write a page: `out=FILE.html`",
        ) from None
    return SummaryWriter
