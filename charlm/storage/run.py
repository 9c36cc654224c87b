"""The run folder: settings, tokenizer, checkpoints, log.  Readable by people, executes nothing."""

import json
import os
import shutil
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import tomli_w

from charlm import __version__, durable
from charlm.config import Config
from charlm.data.tokenizers import kinds as tokenizers
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CharlmError, CheckpointError
from charlm.storage import checkpoints
from charlm.storage.checkpoints import Checkpoint
from charlm.storage.missing import no_run

__all__ = ["Run", "create_run", "lock", "open_run", "remove_blank"]

FORMAT = 1
SETTINGS, TOKENIZER, LOG, BEST, LOCK = "run.toml", "tokenizer", "log.jsonl", "best.json", ".lock"
LARGEST_SETTINGS = 1 << 20


@dataclass(frozen=True)
class Run:
    """An opened run folder.

    ``origin`` records what the run was made from: the digest of the prepared text, the names of
    its sources, its counts, and the size of the vocabulary.
    """

    folder: Path
    config: Config
    origin: dict[str, Any]

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.folder / "checkpoints"

    @property
    def blank(self) -> bool:
        """Whether there is nothing in it but what making it has written."""
        known = {SETTINGS, TOKENIZER, LOG, LOCK, self.checkpoints.name}
        foreign = {path.name for path in self.folder.iterdir()} - known
        saved = self.checkpoints.is_dir() and any(self.checkpoints.iterdir())
        return not foreign and not saved

    def tokenizer(self) -> Tokenizer:
        """The run's tokenizer.  Raises ``TokenizerError``."""
        return tokenizers.load(self.folder / TOKENIZER)

    def checkpoint(self, step: int | None = None) -> Checkpoint:
        """The checkpoint of a step; the best on validation, else the newest, if none is named.

        Raises ``CheckpointError`` for a run without a usable checkpoint.
        """
        wanted = step if step is not None else (self.best() or {}).get("step")
        if wanted is None:
            return self.require_newest()
        try:
            return checkpoints.read_checkpoint(self.checkpoints / f"step-{wanted:08d}")
        except CheckpointError:
            if step is not None:
                self.require_step(step)
                raise
            return self.require_newest()

    def require_step(self, step: int) -> None:
        """Raise ``CheckpointError`` naming the steps there are if ``step`` is none of them."""
        known = [
            checkpoints.step_of(path) for path in checkpoints.list_checkpoints(self.checkpoints)
        ]
        if step not in known:
            there = f"choose one of: {', '.join(map(str, known))}" if known else "train it first"
            raise CheckpointError(f"{self.folder} holds no checkpoint of step {step}", there)

    def require_newest(self) -> Checkpoint:
        """The newest good checkpoint.  Raises ``CheckpointError`` where there is none."""
        found, notes = self.newest()
        if found is not None:
            return found
        if notes:
            hint = "restore the folder; the same train command would begin anew"
            raise CheckpointError(notes[0], hint)
        raise CheckpointError(
            f"{self.folder} holds no checkpoint yet",
            "give the same train command again; it goes on from what is there",
        )

    def newest(self) -> tuple[Checkpoint | None, tuple[str, ...]]:
        """The newest checkpoint that holds, and a note for each damaged one that was skipped."""
        notes: list[str] = []
        for path in reversed(checkpoints.list_checkpoints(self.checkpoints)):
            try:
                return checkpoints.read_checkpoint(path), tuple(notes)
            except CheckpointError as error:
                notes.append(str(error))
        return None, tuple(notes)

    def save(
        self,
        step: int,
        model: Mapping[str, Any],
        train: Mapping[str, Any],
        state: Mapping[str, Any],
        best: Mapping[str, Any] | None,
    ) -> Path:
        """Write a checkpoint, then say which one is best, then remove those no longer needed."""
        self.checkpoints.mkdir(exist_ok=True)
        path = checkpoints.write_checkpoint(self.checkpoints, step, model, train, state)
        if best is not None:
            durable.write_text(self.folder / BEST, json.dumps(best, indent=1) + "\n")
        checkpoints.prune(self.checkpoints, keep={best["step"]} if best else set())
        return path

    def best(self) -> dict[str, Any] | None:
        """The content of ``best.json``, or None; it is only a hint."""
        try:
            best = checkpoints.read_json(self.folder / BEST)
        except CheckpointError:
            return None
        fine = isinstance(best.get("step"), int) and 0 <= best["step"] < 10**12
        return best if fine else None

    def append_log(self, record: Mapping[str, Any]) -> None:
        """Add one line to the log; it becomes durable with the next checkpoint."""
        with (self.folder / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def sync_log(self) -> int:
        """Make the log durable; returns its length in bytes, for the checkpoint to remember."""
        with (self.folder / LOG).open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def cut_log(self, length: int) -> None:
        """Drop log lines that are newer than the checkpoint that is resumed."""
        with (self.folder / LOG).open("ab") as file:
            file.truncate(min(length, file.tell()))

    def update(self, config: Config) -> "Run":
        """The same run with other settings, written down.  Raises ``CheckpointError``."""
        run = Run(self.folder, config, self.origin)
        write_settings(run)
        return run


def create_run(
    folder: Path, config: Config, tokenizer: Tokenizer, origin: Mapping[str, Any]
) -> Run:
    """Make a new run folder; it appears with its settings and tokenizer or not at all.

    Raises ``CheckpointError`` if ``folder`` exists with something in it or cannot be made.
    """
    run = Run(folder, config, dict(origin))
    try:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()  # an empty folder is as good as none
        folder.parent.mkdir(parents=True, exist_ok=True)
        with durable.write_folder(folder) as temporary:
            (temporary / TOKENIZER).mkdir()
            tokenizer.save(temporary / TOKENIZER)
            write_settings(Run(temporary, config, dict(origin)))
    except OSError as error:
        raise CheckpointError(
            f"cannot make the run folder {folder}: {error.strerror}",
            "choose another --out",
        ) from error
    return run


def remove_blank(folder: Path) -> None:
    """Remove a run folder in which nothing has been learned; anything else stays.

    Raises ``CheckpointError`` if another process is about to train it.
    """
    if not (folder / SETTINGS).is_file() or not open_run(folder).blank:
        return
    with lock(folder):
        shutil.rmtree(folder)


def open_run(folder: str | Path) -> Run:
    """Open a run folder.  Raises ``CheckpointError`` if it is none, or from a newer version."""
    folder = Path(folder)
    path = folder / SETTINGS
    if not path.is_file():
        raise no_run(folder)
    try:
        if path.stat().st_size > LARGEST_SETTINGS:
            raise ValueError("it is too large")
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
        origin, written = tables.pop("origin", {}), tables.pop("charlm", {})
        if written.get("format", 0) > FORMAT:
            raise checkpoints.newer_version(folder)
        if not isinstance(origin.get("digest"), str):
            raise ValueError("[origin] lacks its digest")
        return Run(folder, Config.from_tables(tables), origin)
    except CheckpointError:
        raise
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, CharlmError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {' '.join(str(error).split())}",
            "restore the file, or train anew into another --out",
        ) from error


def write_settings(run: Run) -> None:
    """Write ``run.toml``: the resolved settings and the version that wrote them."""
    tables = {
        "charlm": {"version": __version__, "format": FORMAT},
        **run.config.to_tables(),
        "origin": run.origin,
    }
    durable.write_text(run.folder / SETTINGS, tomli_w.dumps(tables))


def lock(folder: Path) -> filelock.BaseFileLock:
    """Hold the run for writing; released with the process at the latest.

    Raises ``CheckpointError`` at once if another process holds it.
    """
    try:
        held = filelock.FileLock(folder / LOCK)
        held.acquire(timeout=0)
    except filelock.Timeout:
        raise CheckpointError(
            f"{folder} is in use: another process trains it",
            "wait for it to end, or choose another --out",
        ) from None
    return held
