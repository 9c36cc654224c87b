"""Going on with a run: what is taken over from it, and what must not have changed since."""

import platform
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from charlm.config import Config, TrainConfig
from charlm.config.section import assignment
from charlm.data.preparation.prepared import Prepared
from charlm.errors import CheckpointError, ConfigError, CorpusError
from charlm.storage.run import Run, create_run, lock, open_run, remove_blank
from charlm.training.budget.decisions import undecided
from charlm.training.reports import Note
from charlm.training.transfer.ancestry import FirstModel

__all__ = [
    "OtherTextError",
    "begin",
    "budget_notes",
    "decides",
    "look_for_begun",
    "look_for_run",
    "refuse_other_run",
    "refuse_other_text",
    "refuse_other_tokenizer",
]

CHANGEABLE = ("minutes", "epochs", "most_epochs", "steps", "patience", "save_minutes", "device")
"""Training settings that may differ when a run is resumed."""

NAMES = ("sources", "valid", "test")
"""Data settings that name texts.  What the texts hold decides: the digest of the run."""

BUDGETS = ("training.minutes", "training.epochs", "training.steps")


class OtherTextError(CorpusError):
    """A text that is not the one a run was made from."""


def look_for_run(folder: Path) -> Run | None:
    """The run in ``folder``, or None where one can be made.

    Raises ``CheckpointError`` for anything else that is there.
    """
    if (folder / "run.toml").exists():
        return open_run(folder)
    if folder.is_symlink() or folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise CheckpointError(
            f"{folder} exists and is not a run; nothing was changed", "choose another `out=FOLDER`"
        )
    return None


def look_for_begun(folder: Path, config: Config) -> tuple[Run | None, Config]:
    """The run in ``folder`` if it has a checkpoint, and the settings to resume it with.

    Without such a run, fixed defaults are filled in unless minutes are to decide.  Raises
    ``ConfigError`` where a setting that may not change differs from the run's.
    """
    run = look_for_run(folder)
    if run is None or run.blank:
        return None, config if decides(config) else config.with_defaults()
    config = taken_over(run.config, config)
    refuse_other_settings(run, config)
    return run, config


def decides(config: Config) -> bool:
    """Whether the minutes decide what is None in ``config``; other budgets have fixed defaults."""
    training = config.training
    return not (training.steps or training.epochs or config.model.kind == "ngram")


def taken_over(before: Config, config: Config) -> Config:
    """``config`` with the values of the run ``before`` for what is None now, and with its budget
    unless there is another one.
    """
    tables, old = config.to_tables(), before.to_tables()
    training = config.training
    given = (training.steps, training.epochs, training.minutes) != (None,) * 3
    for name in undecided(config) | (frozenset() if given else frozenset(BUDGETS)):
        section, key = name.split(".")
        if key in old[section]:
            tables[section][key] = old[section][key]
    return Config.from_tables(tables)


def begin(
    folder: Path, config: Config, prepared: Prepared, first: FirstModel | None = None
) -> None:
    """Make the run folder; one in which nothing was learned may be there, and be replaced.

    ``first`` is what a run begins with that has a base.

    Raises ``CheckpointError`` if another process has trained there in the meantime.
    """
    found = look_for_run(folder)
    if found is not None and not found.blank:  # another process was faster
        with lock(folder):
            raise CheckpointError(
                f"{folder} has been trained meanwhile", "start again to resume it"
            )
    origin = origin_of(prepared)
    before = found and {key: value for key, value in found.origin.items() if key != "made"}
    if found is None or found.config != config or before != origin:
        remove_blank(folder)
        origin |= {"made": made_here()} | (first.origin if first else {})
        start = first.checkpoint if first else None
        create_run(folder, config, prepared.tokenizer, origin, start)


def refuse_other_settings(run: Run, config: Config) -> None:
    """Raise ``ConfigError`` naming the first setting that differs from the run's.

    How text is generated may always change, and so may what ``CHANGEABLE`` and ``NAMES`` name.
    """
    before, now = run.config.to_tables(), config.to_tables()
    for section in now.keys() - {"generation"}:
        for key in sorted({*now[section], *before[section]}):
            old, new = before[section].get(key), now[section].get(key)
            free = {"training": CHANGEABLE, "data": NAMES}.get(section, ())
            if old != new and key not in free:
                name = f"{section}.{key}"
                shown = assignment(name, new if old is None else old)
                begun = f"without `{shown}`" if old is None else f"with `{shown}`, not {new}"
                raise ConfigError(
                    f"{run.folder} was begun {begun}",
                    "give the same settings to resume it, or another `out=FOLDER` to train anew",
                )


def refuse_other_text(run: Run, config: Config, digest: str) -> None:
    """Raise ``OtherTextError`` unless ``digest`` is that of the text that the run was made from."""
    if run.origin["digest"] == digest:
        return
    old, new = run.config.data.sources, config.data.sources
    cause = f"the text has changed since the run {run.folder} began"
    if old != new:
        cause = f"{run.folder} was begun with another text: {', '.join(old)}, not {', '.join(new)}"
    raise OtherTextError(cause, "restore the text, or give another `out=FOLDER` to train anew")


def refuse_other_tokenizer(run: Run, prepared: Prepared) -> None:
    """Raise ``CheckpointError`` unless the run's tokenizer is the one that made these tokens."""
    if run.tokenizer().digest() != prepared.tokenizer.digest():
        raise CheckpointError(
            f"the tokenizer of {run.folder} is not the one that it was made with",
            f"restore {run.folder}/tokenizer, or give another `out=FOLDER` to train anew",
        )


def refuse_other_run(run: Run, config: Config, prepared: Prepared) -> None:
    """Raise ``CheckpointError`` if another process has put another run in the place of this one.

    Asked while the run is locked: what was checked before may have changed until then.
    """
    try:
        refuse_other_settings(run, config)
        refuse_other_text(run, config, prepared.digest)
        refuse_other_tokenizer(run, prepared)
    except (ConfigError, CorpusError) as error:
        raise CheckpointError(
            f"another process has replaced this run meanwhile: {error}", error.hint
        ) from error


def budget_notes(before: Config, config: Config) -> Iterator[Note]:
    """What another budget than ``before`` means for a run that is resumed."""
    (old, unit), (new, now_unit) = map(budget_of, (before.training, config.training))
    if (old, unit) == (new, now_unit):
        return
    rises = "rises" if unit == now_unit else "may rise"
    falling = config.training.schedule in ("trapezoid", "cosine") and (
        unit != now_unit or new > old
    )
    yield Note(
        text=f"{new:g} {now_unit} in all now, not {old:g}"
        + f" {unit}" * (unit != now_unit)
        + f"; the learning rate {rises} again, so validation may get worse at first" * falling
    )


def budget_of(training: TrainConfig) -> tuple[float, str]:
    """How much is trained at most, and its unit; (0, "") for n-grams, which have no budget."""
    for unit in ("minutes", "epochs", "steps"):
        if (most := getattr(training, unit)) is not None:
            return most, unit
    return 0, ""


def origin_of(prepared: Prepared) -> dict[str, Any]:
    """What a run remembers of its text."""
    parts = {"train": prepared.train, "valid": prepared.valid, "test": prepared.test}
    return {
        "digest": prepared.digest,
        "tokenizer": prepared.tokenizer.digest(),
        "vocab_size": prepared.tokenizer.vocab_size,
        "counts": {name: asdict(part.counts) for name, part in parts.items() if part is not None},
    }


def made_here() -> dict[str, Any]:
    """When and on what kind of machine a run began; nothing that names the machine or its user."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def processor() -> str:
    """The model of the processor, where the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "")
