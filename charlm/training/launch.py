"""From settings and a folder to a trained run: prepare the text, make or open the run, train."""

from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from charlm.config import DEFAULT_MINUTES, Config
from charlm.data.cache import cache_folder
from charlm.data.preparation.prepared import Prepared, Preparing, prepare
from charlm.errors import CheckpointError, ConfigError, CorpusError
from charlm.storage.run import Run, create_run, lock, open_run, remove_blank
from charlm.training import ngrams
from charlm.training.budget.decisions import FREE, decide
from charlm.training.distributed import World
from charlm.training.loop import never, train
from charlm.training.reports import Note, Report, Started

__all__ = ["Started", "default_folder", "launch", "plan"]

CHANGEABLE = ("minutes", "epochs", "most_epochs", "steps", "patience", "save_minutes", "device")
"""Training settings that may differ when a run is taken up again."""

BUDGETS = frozenset({"training.minutes", "training.epochs", "training.steps"})


def launch(
    config: Config,
    folder: Path,
    *,
    chosen: Collection[str] = FREE,
    stop: Callable[[], str | None] = never,
    world: World | None = None,
) -> Iterator[Preparing | Prepared | Report]:
    """Train into ``folder``, or go on with what is there; ends with ``Done`` unless stopped early.

    ``chosen`` names the settings (``section.key``) that are to stay as they are; a run that is
    given minutes decides the other ones of ``FREE`` by the text and the machine.

    Raises ``CharlmError`` of every kind; what existed is then as it was.
    """
    world = world or World()
    begun, config = look_for_begun(folder, config, chosen)
    prepared = yield from prepare_for(config, stop)
    if prepared is None:
        return
    counting = config.model.kind == "ngram"
    if counting:
        ngrams.check_countable(config.model, prepared.valid, world)
    yield from (Note(text=note) for note in prepared.notes)
    if begun:
        refuse_other_text(begun, prepared)
    elif world.first:
        config = yield from settle(config, chosen, prepared)
        begin(folder, config, prepared)
    world.wait()
    with lock(folder) if world.first else nullcontext():
        run = open_run(folder)
        if world.first:
            run.recover()
            run = run.update(config)
        world.wait()
        run = run if world.first else open_run(folder)
        vocab_size = prepared.tokenizer.vocab_size
        learn = ngrams.train if counting else train
        yield from learn(run, prepared.train, prepared.valid, vocab_size, stop=stop, world=world)


def plan(
    config: Config, folder: Path, chosen: Collection[str] = FREE
) -> Iterator[Preparing | Prepared | Note | Config]:
    """What ``launch`` would train: its records, then the settings that would be in force.

    Raises what ``launch`` does; nothing is written but the prepared text.
    """
    begun, config = look_for_begun(folder, config, chosen)
    prepared = yield from prepare_for(config)
    assert prepared is not None
    if not begun:
        config = yield from settle(config, chosen, prepared)
    yield config


def look_for_begun(
    folder: Path, config: Config, chosen: Collection[str]
) -> tuple[Run | None, Config]:
    """The run in ``folder`` if it has learned something, and the settings to go on with."""
    run = look_for_run(folder)
    if run is None or run.blank:
        return None, config
    config = taken_over(run.config, config, chosen)
    refuse_other_settings(run, config)
    return run, config


def begin(folder: Path, config: Config, prepared: Prepared) -> None:
    """Make the run folder; one in which nothing was learned may be there, and be replaced."""
    found = look_for_run(folder)
    if found is not None and not found.blank:  # another process was faster
        with lock(folder):
            raise CheckpointError(f"{folder} has been trained meanwhile", "start again to go on")
    if found is None or differs(found, config, prepared):
        remove_blank(folder)
        create_run(folder, config, prepared.tokenizer, origin_of(prepared))


def settle(
    config: Config, chosen: Collection[str], prepared: Prepared
) -> Generator[Note, None, Config]:
    """Decide what nobody has chosen; yields the reasons, returns all settings."""
    training = config.training
    if training.steps or training.epochs or config.model.kind == "ngram":
        return config
    if training.minutes is None:
        config = replace(config, training=replace(training, minutes=DEFAULT_MINUTES))
    free = FREE - frozenset(chosen)
    if not free:
        return config
    decision = decide(config, free, prepared.train.tokens, prepared.tokenizer.vocab_size)
    yield from (Note(text=reason) for reason in decision.reasons)
    return decision.config


def taken_over(before: Config, config: Config, chosen: Collection[str]) -> Config:
    """``config`` with the values of the run for what nobody has chosen now."""
    tables, old = config.to_tables(), before.to_tables()
    training = config.training
    given = (training.steps, training.epochs, training.minutes) != (None,) * 3
    for name in FREE - frozenset(chosen) | (frozenset() if given else BUDGETS):
        section, key = name.split(".")
        tables[section].pop(key, None)
        tables[section] |= {key: old[section][key]} if key in old[section] else {}
    return Config.from_tables(tables)


def prepare_for(
    config: Config, stop: Callable[[], str | None] = never
) -> Generator[Preparing | Prepared, None, Prepared | None]:
    """Prepare a configuration's text; yields progress, returns ``Prepared`` or None if stopped."""
    for record in prepare(config.data, config.tokenizer, cache_folder()):
        yield record
        if isinstance(record, Prepared):
            return record
        if stop():
            return None
    return None


def default_folder(config: Config) -> Path:
    """``runs/NAME``, NAME made from the first source."""
    source = config.data.sources[0]
    stem = Path(source).name.partition(".")[0] if source != "-" else "stdin"
    kept = "".join(char if char.isalnum() or char in "-_" else "-" for char in stem).strip("-")
    return Path("runs") / (kept or "text")


def look_for_run(folder: Path) -> Run | None:
    """The run in ``folder``, or None where one can be made.

    Raises ``CheckpointError`` for anything else that is there.
    """
    if (folder / "run.toml").exists():
        return open_run(folder)
    if folder.is_symlink() or folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise CheckpointError(
            f"{folder} exists and is not a run", "choose another --out, nothing was changed"
        )
    return None


def refuse_other_settings(run: Run, config: Config) -> None:
    """Raise ``ConfigError`` naming the first setting that differs from the run's."""
    before, now = run.config.to_tables(), config.to_tables()
    for section, table in now.items():
        for key in sorted({*table, *before[section]}):
            old, new = before[section].get(key), table.get(key)
            if old != new and not (section == "training" and key in CHANGEABLE):
                raise ConfigError(
                    f"{run.folder} was begun with {section}.{key} = {old}, not {new}",
                    "give the same settings to go on, or choose another --out to train anew",
                )


def refuse_other_text(run: Run, prepared: Prepared) -> None:
    """Raise ``CorpusError`` or ``CheckpointError`` unless the run was made from this very text."""
    if run.origin["digest"] != prepared.digest:
        raise CorpusError(
            f"the text has changed since the run {run.folder} began",
            "restore the text, or choose another --out to train anew",
        )
    if run.tokenizer().digest() != prepared.tokenizer.digest():
        raise CheckpointError(
            f"the tokenizer of {run.folder} is not the one that it was made with",
            f"restore {run.folder}/tokenizer, or choose another --out to train anew",
        )


def differs(run: Run, config: Config, prepared: Prepared) -> bool:
    """Whether a run that has learned nothing yet was made for something else."""
    return run.config != config or run.origin != origin_of(prepared)


def origin_of(prepared: Prepared) -> dict[str, Any]:
    """What a run remembers of its text."""
    parts = {"train": prepared.train, "valid": prepared.valid, "test": prepared.test}
    return {
        "digest": prepared.digest,
        "tokenizer": prepared.tokenizer.digest(),
        "vocab_size": prepared.tokenizer.vocab_size,
        "counts": {name: asdict(part.counts) for name, part in parts.items() if part is not None},
    }
