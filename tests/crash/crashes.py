"""Crashes at every file operation of a run's life, and of the crash after the crash."""

import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.counts import Counts
from tests.crash.disk import Disk, Tree, crash_states, fingerprint, snapshot, write_tree
from tests.crash.stores import Fact, Store, check_start, repeatable
from tests.crash.watch import Operation, watching

__all__ = ["Crash", "Recording", "in_memory", "record", "run_crashes"]


@dataclass
class Recording:
    """What was done below a folder: operations, and facts that held from then on."""

    before: Tree
    steps: list[Operation | Fact] = field(default_factory=list)

    def crashes(self, root: Path, generator: random.Random, attempts: int) -> "Iterator[Crash]":
        """What a crash after each operation may leave, with the facts of that moment."""
        disk, facts = Disk.of(root, self.before), list[Fact]()
        for step in self.steps:
            if isinstance(step, Fact):
                facts.append(step)
                continue
            disk.apply(step)
            for tree in crash_states(disk, generator, attempts):
                yield Crash(tree, tuple(facts), bool(self.before))


@dataclass(frozen=True)
class Crash:
    """A disk after a crash, and the facts at that moment; ``again`` if it was not the first."""

    tree: Tree
    facts: tuple[Fact, ...]
    again: bool


@contextmanager
def in_memory() -> Iterator[Path]:
    """A folder in memory where the machine has one: fsync takes no time there."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None, prefix="charlm-crash-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def always(operation: Operation) -> bool:
    """Every operation reaches the disk, as on a machine that is not broken."""
    return True


def record(
    root: Path,
    generator: random.Random,
    actions: int,
    *facts: Fact,
    reaches_disk: Callable[[Operation], bool] = always,
) -> Recording:
    """Let a run below ``root`` live for some actions, after what ``facts`` say, and record it."""
    recording = Recording(snapshot(root), list(facts))

    def note(operation: Operation) -> None:
        if reaches_disk(operation):
            recording.steps.append(operation)

    store = Store(root / "run", generator, recording.steps.append)
    store.known.update((fact.mark, fact) for fact in facts)
    store.mark = max(store.known, default=0)
    with watching(root, after=note):
        store.act(actions)
    return recording


def run_crashes(
    seed: int, states: int, reaches_disk: Callable[[Operation], bool] = always
) -> Counts:
    """Open ``states`` distinct states that a crash may leave of a run folder.

    Half of them are those of a crash in what follows a crash.  Operations that are said not to
    reach the disk are a broken machine, which must show in what is lost.
    """
    counts, generator, opened = Counts(), random.Random(seed), set[bytes]()
    with in_memory() as folder, repeatable():
        root = folder / "disk"
        while counts.trials < states:
            write_tree(root, {})
            recording = record(root, generator, generator.randint(2, 6), reaches_disk=reaches_disk)
            crashes = recording.crashes(root, generator, 6)
            survived = check_all(counts, opened, root, crashes, states)
            for crash in generator.sample(survived, min(4, len(survived))):
                write_tree(root, crash.tree)
                again = record(root, generator, 2, *crash.facts, reaches_disk=reaches_disk)
                crashes = again.crashes(root, generator, 6)
                check_all(counts, opened, root, crashes, states)
    return counts


def check_all(
    counts: Counts, opened: set[bytes], root: Path, crashes: Iterator[Crash], states: int
) -> list[Crash]:
    """Open each state that was not opened before; returns those in which nothing was lost."""
    survived = []
    for crash in crashes:
        found = fingerprint(crash.tree)
        if found in opened or counts.trials >= states:
            continue
        opened.add(found)
        counts.trials += 1
        counts.hits["after a second crash"] += crash.again
        write_tree(root, crash.tree)
        try:
            check_start(root / "run", list(crash.facts))
        except Exception as error:
            counts.wrong.append(f"{type(error).__name__}: {error}")
        else:
            survived.append(crash)
    return survived
