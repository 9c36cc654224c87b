"""The run folder: settings, tokenizer, checkpoints, log.  Readable by people, executes nothing."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from charlm import __version__, durable
from charlm.config import Config
from charlm.data.tokenizers import kinds as tokenizers
from charlm.data.tokenizers.kinds import Tokenizer
from charlm.errors import CharlmError, CharlmWarning, CheckpointError, describe, way_out
from charlm.storage import checkpoints, integrity
from charlm.storage.checkpoints import Checkpoint
from charlm.storage.locking import LOCK, lock
from charlm.storage.log import Log
from charlm.storage.missing import no_run
from charlm.untrusted import LARGEST_TOML, parse_toml, read_file

__all__ = ["Run", "create_run", "lock", "open_run", "remove_blank"]

FORMAT = 1
SETTINGS, TOKENIZER, LOG, BEST = "run.toml", "tokenizer", "log.jsonl", "best.json"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True)
class Run:
    """An opened run folder.

    ``origin`` records what the run was made from: the digest of the prepared text, its counts, the
    size of the vocabulary, under ``made`` when and on what kind of machine, and under ``base`` the
    run that it was begun from, if there is one.
    """

    folder: Path
    config: Config
    origin: dict[str, Any]

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints, which the first save makes."""
        return self.folder / CHECKPOINTS

    @property
    def log(self) -> Log:
        """The reports of its training."""
        return Log(self.folder / LOG)

    @property
    def blank(self) -> bool:
        """Whether nothing was learned yet: the folder holds only what ``create_run`` wrote."""
        known = {SETTINGS, TOKENIZER, LOG, LOCK, CHECKPOINTS}
        saved = self.checkpoints.iterdir() if self.checkpoints.is_dir() else ()
        names = {path.name for path in self.folder.iterdir()} - known
        names |= {path.name for path in saved}
        return all(durable.TEMPORARY_MARK in name for name in names)

    def tokenizer(self) -> Tokenizer:
        """The run's tokenizer.  Raises ``TokenizerError``; ``CheckpointError`` for another one."""
        found = tokenizers.load(self.folder / TOKENIZER)
        if self.origin.get("tokenizer", found.digest()) != found.digest():
            raise CheckpointError(
                f"the tokenizer in {self.folder / TOKENIZER} is not the one of this run",
                "restore that folder, or train a new run",
            )
        return found

    def checkpoint(self, step: int | None = None) -> Checkpoint:
        """The checkpoint of a step; the best on validation, else the newest, if none is named.

        Warns with ``CharlmWarning`` where the best is damaged and the newest is used instead.
        Raises ``CheckpointError`` for a run without a usable checkpoint.
        """
        if step is not None:
            return self.read_step(step)
        for _ in range(3):  # a training process may replace the best while it is looked up
            best = (self.best() or {}).get("step")
            if best is None:
                return self.require_newest()
            try:
                return self.read_step(best)
            except integrity.UnreadableError:
                raise
            except CheckpointError as error:
                failure = error
        found = self.require_newest()
        warnings.warn(
            f"{failure}; step {found.step:,} is used instead of the best, {best:,}",
            CharlmWarning,
            stacklevel=2,
        )
        return found

    def read_step(self, step: int) -> Checkpoint:
        """The newest whole checkpoint of a step.

        Raises ``CheckpointError``; where there is none of that step it names those there are.
        """
        paths = checkpoints.list_checkpoints(self.checkpoints)
        known = list(dict.fromkeys(map(checkpoints.step_of, paths)))
        if step not in known:
            there = f"choose one of: {', '.join(map(str, known))}" if known else "train it first"
            raise CheckpointError(f"{self.folder} holds no checkpoint of step {step}", there)
        of_step = [path for path in paths if checkpoints.step_of(path) == step]
        if len(of_step) > 1:  # the newer one may be damaged
            of_step = list(filter(integrity.is_whole, of_step)) or of_step
        return checkpoints.read_checkpoint(of_step[-1])

    def require_newest(self) -> Checkpoint:
        """The newest whole checkpoint.  Raises ``CheckpointError`` where there is none."""
        found, _ = self.newest()
        if found is not None:
            return found
        raise CheckpointError(
            f"{self.folder} holds no checkpoint yet",
            "train it again with the settings of before; training resumes from what is there",
        )

    def newest(self, *, anew: bool = False) -> tuple[Checkpoint | None, tuple[str, ...]]:
        """The newest whole checkpoint, and a note for each damaged one that was skipped.

        None for a run that never saved one.  Raises ``CheckpointError`` where all are damaged or
        gone, unless training may begin ``anew``, and ``UnreadableError`` where a newer one cannot
        be read now: to resume from an older one would throw progress away.
        """
        notes: list[str] = []
        listed = checkpoints.list_checkpoints(self.checkpoints)
        while listed:
            path = listed.pop()
            try:
                return checkpoints.read_checkpoint(path), tuple(notes)
            except integrity.UnreadableError:
                raise
            except CheckpointError as error:
                if path.exists():
                    notes.append(str(error))
                else:  # a training process has replaced it meanwhile by newer ones
                    notes, listed = [], checkpoints.list_checkpoints(self.checkpoints)
        if not notes and (self.folder / BEST).exists():
            notes.append(f"{self.folder} has a {BEST}, but its checkpoints are gone")
        if notes and not anew:
            raise CheckpointError(
                notes[0],
                f"restore {self.checkpoints}, or move it and {BEST} away to train from the start",
            )
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
        durable.make_folder(self.checkpoints)
        state = {**state, "best": best}
        path = checkpoints.write_checkpoint(self.checkpoints, step, model, train, state)
        self.name_best(best)
        return path

    def name_best(self, best: Mapping[str, Any] | None) -> None:
        """Say in ``best.json`` which step is best, and remove checkpoints no longer needed."""
        try:
            if best is not None and integrity.read_best(self.folder / BEST) != best:
                durable.write_text(self.folder / BEST, json.dumps(best, indent=1) + "\n")
            checkpoints.prune(self.checkpoints, keep={best["step"]} if best else set())
        except OSError as error:
            raise CheckpointError(
                f"{self.folder} cannot be written: {describe(error)}",
                f"{way_out(error)}; then train again: training resumes from the checkpoint just "
                "saved",
            ) from error

    def recover(self) -> None:
        """Finish what an interrupted save left undone; the caller holds the lock.

        Raises ``CheckpointError``.
        """
        durable.remove_leftovers(self.folder.resolve())
        checkpoints.settle(self.checkpoints)
        for path in self.folder.glob(f"*{durable.TEMPORARY_MARK}*"):
            durable.remove_folder(path) if path.is_dir() else durable.remove_file(path)
        best = self.best()
        if best is not None:
            self.name_best(best)

    def best(self) -> dict[str, Any] | None:
        """The best step on validation with its figures, or None.

        The newest checkpoint knows; ``best.json`` repeats it for people, and is older after a
        crash between the two.
        """
        for path in reversed(checkpoints.list_checkpoints(self.checkpoints)):
            try:
                state = checkpoints.read_state(path)
            except CheckpointError:
                continue
            if "best" not in state:  # written by an older version
                break
            return state["best"] if integrity.is_best(state["best"]) else None
        return integrity.read_best(self.folder / BEST)

    def update(self, config: Config) -> "Run":
        """Write other settings into the folder; returns the run.  Raises ``CheckpointError``."""
        run = Run(self.folder, config, self.origin)
        write_settings(run)
        return run


def create_run(
    folder: Path,
    config: Config,
    tokenizer: Tokenizer,
    origin: Mapping[str, Any],
    first: Mapping[str, Mapping[str, Any]] | None = None,
) -> Run:
    """Make a new run folder; it appears with its settings and tokenizer or not at all.

    ``first``: the ``model`` and the ``state`` of a checkpoint of step 0 that it appears with.

    Raises ``CheckpointError`` if ``folder`` exists with something in it or cannot be made.
    """
    run = Run(folder, config, dict(origin))
    folder = folder.resolve()  # of a link, the folder that it leads to
    try:
        durable.remove_leftovers(folder)
        if folder.is_dir() and not any(folder.iterdir()):
            durable.remove_folder(folder)  # an empty folder is as good as none
        with durable.write_folder(folder) as temporary:
            durable.make_folder(temporary / TOKENIZER)
            tokenizer.save(temporary / TOKENIZER)
            if first:
                checkpoint = temporary / CHECKPOINTS / checkpoints.folder_name(0)
                durable.make_folder(checkpoint)
                checkpoints.fill(checkpoint, 0, first["model"], {}, first["state"])
            write_settings(Run(temporary, config, dict(origin)))
    except OSError as error:
        raise CheckpointError(
            f"cannot make the run folder {run.folder}: {error.strerror}",
            f"{way_out(error)}, or choose another `out=FOLDER`",
        ) from error
    return run


def remove_blank(folder: Path) -> None:
    """Remove a run folder in which nothing has been learned; anything else stays.

    Raises ``CheckpointError`` if another process is about to train it.
    """
    if not (folder / SETTINGS).is_file() or not open_run(folder).blank:
        return
    with lock(folder):
        if open_run(folder).blank:  # still so, now that nobody else can train it
            durable.remove_folder(folder.resolve())


def open_run(folder: str | Path) -> Run:
    """Open a run folder.  Raises ``CheckpointError`` if it is none, or from a newer version."""
    folder = Path(folder)
    path = folder / SETTINGS
    try:
        if not path.is_file():
            raise no_run(folder)
        integrity.refuse_special(folder, (SETTINGS, LOG, BEST, LOCK), (TOKENIZER, CHECKPOINTS))
        tables = parse_toml(read_file(path, LARGEST_TOML))
        origin, written = tables.pop("origin", {}), tables.pop("charlm", {})
        if written.get("format", 0) > FORMAT:
            raise integrity.newer_version(folder)
        if not isinstance(origin.get("digest"), str):
            raise ValueError("[origin] lacks its digest")
        # Earlier versions wrote settings without effect and left undecided ones out.
        return Run(folder, Config.from_tables(tables, drop_idle=True).with_defaults(), origin)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}", way_out(error)) from error
    except (ValueError, TypeError, AttributeError, RecursionError, CharlmError) as error:
        raise CheckpointError(
            f"{path} cannot be read: {' '.join(str(error).split())}",
            "restore the file, or train anew into another folder",
        ) from error


def write_settings(run: Run) -> None:
    """Write ``run.toml``: the resolved settings and the version that wrote them."""
    about = {"version": __version__, "format": FORMAT}
    tables = {"charlm": about, **run.config.to_tables(), "origin": run.origin}
    durable.write_text(run.folder / SETTINGS, tomli_w.dumps(tables))
