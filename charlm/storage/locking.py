"""One training at a time: the lock of a run folder."""

from contextlib import AbstractContextManager
from pathlib import Path

import filelock

from charlm.errors import CheckpointError, way_out

__all__ = ["LOCK", "lock"]

LOCK = ".lock"


def lock(folder: Path) -> AbstractContextManager[object]:
    """Hold the run for writing, in a ``with`` block; released with the process at the latest.

    Raises ``CheckpointError`` at once if another training holds it, in this process or another.
    """
    try:
        # The thread that ends a training need not be the one that began it.
        return filelock.FileLock(folder / LOCK, thread_local=False).acquire(timeout=0)
    except filelock.Timeout:
        raise CheckpointError(
            f"{folder} is in use: another process trains it",
            "wait for it to end, or choose another `out=FOLDER`",
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"{folder} cannot be locked for training: {error.strerror}",
            f"{way_out(error)}, or choose another `out=FOLDER`",
        ) from error
