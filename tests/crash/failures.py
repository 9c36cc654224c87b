"""Calls to the system that fail: no space, no permission, a broken disk, a process that is killed.

Whatever the call and the moment, the work ends or an error says why, and what was saved is used by
the next start.
"""

import errno
import os
import random
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from charlm.errors import CharlmError
from tests.crash.counts import Counts
from tests.crash.crashes import in_memory
from tests.crash.kills import FAILED, Plan, Progress, follow, forked
from tests.crash.stores import Fact, Store, check_start, repeatable
from tests.crash.trainings import SETTINGS, difference, settings_of, write_text
from tests.crash.watch import watching

__all__ = [
    "can_mount",
    "can_trace",
    "run_failing_calls",
    "run_limits",
    "run_small_disks",
    "run_traced",
]

ERRORS = (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EMFILE)

LONGEST = 40
"""File operations of one action among which the failing one is drawn."""


def run_failing_calls(seed: int, trials: int) -> Counts:
    """Let a file operation of saving or resuming fail, once or from then on."""
    counts, generator = Counts(), random.Random(seed)
    with in_memory() as folder, repeatable():
        while counts.trials < trials:
            root = folder / str(counts.trials)
            root.mkdir()
            facts: list[Fact] = []
            store = Store(root / "run", generator, facts.append)
            store.act(generator.randint(0, 3))
            action = generator.choice((store.save, store.save, store.save_again, store.restart))
            number, persists = generator.choice(ERRORS), generator.random() < 0.5
            failing = Failing(generator.randint(1, LONGEST), number, persists)
            with watching(root, before=failing):
                outcome = attempt(action)
            counts.trials += 1
            hit = "done all the same" if failing.told else "not hit"
            counts.hits["refused" if outcome == "refused" else hit] += 1
            problem = outcome if outcome not in ("done", "refused") else checked(root, facts)
            if problem:
                what = f"{action.__name__}, {errno.errorcode[number]} at {failing.told}"
                counts.wrong.append(f"{what}, persists {persists}: {problem}")
            shutil.rmtree(root)
    return counts


class Failing:
    """Called before each operation: raises at one, or from it on."""

    def __init__(self, operation: int, number: int, persists: bool) -> None:
        self.left, self.number, self.persists, self.told = operation, number, persists, ""

    def __call__(self, kind: str, path: str) -> None:
        self.left -= 1
        if self.left == 0 or (self.left < 0 and self.persists):
            self.told = self.told or f"{kind} {path}"
            raise OSError(self.number, os.strerror(self.number), path)


def attempt(action: Callable[[], None]) -> str:
    """Say whether something was done, refused with an error that we declare, or what else."""
    try:
        action()
    except (CharlmError, OSError):
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def checked(root: Path, facts: list[Fact]) -> str | None:
    """What ``check_start`` has to object to."""
    try:
        check_start(root / "run", facts)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None


def run_limits(seed: int, trials: int) -> Counts:
    """Train with a limit on the size of files, as on a full disk; then go on without it."""

    def limit(generator: random.Random) -> Callable[[int], None]:
        most = generator.randint(0, 12_000)

        def start(child: int) -> None:
            resource.prlimit(child, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))

        return start

    return disturbed(seed, trials, limit)


def run_traced(seed: int, trials: int) -> Counts:
    """Train while strace lets system calls fail or kills at one; then go on undisturbed."""

    def trace(generator: random.Random) -> Callable[[int], None]:
        call, fault = generator.choice(
            [
                ("fsync", "error=EIO"), ("fsync", "error=ENOSPC"), ("fsync", "signal=SIGKILL"),
                ("rename", "error=EIO"), ("rename", "error=ENOSPC"), ("rename", "signal=SIGKILL"),
                ("mkdir", "error=ENOSPC"), ("mkdir", "signal=SIGKILL"),
                ("unlinkat", "error=EIO"), ("unlinkat", "signal=SIGKILL"),
                ("write", "error=EINTR"), ("write", "error=EIO"), ("write", "error=ENOSPC"),
                ("write", "signal=SIGKILL"), ("fsync", "error=EINTR"),
            ]
        )  # fmt: skip
        when = generator.randint(1, 60)
        return partial(attach, f"inject={call}:{fault}:when={when}")

    return disturbed(seed, trials, trace)


def disturbed(
    seed: int, trials: int, make: Callable[[random.Random], Callable[[int], None]]
) -> Counts:
    """Train with a disturbance that ``make`` makes, go on without one, and compare the end."""
    counts, generator = Counts(), random.Random(seed)
    with in_memory() as folder:
        text = write_text(folder)
        wholes: dict[str, Path] = {}
        for trial in range(trials):
            name = list(SETTINGS)[(seed + trial) % len(SETTINGS)]
            config, run = settings_of(text, **SETTINGS[name]), folder / f"run-{trial}"
            if name not in wholes:
                wholes[name] = folder / f"whole-{name}"
                follow(forked(config, wholes[name], Plan(), Progress()), Plan(), Progress())
            with waiting() as (gate, opened):
                child = forked(config, run, Plan(), Progress(), gate)
                make(generator)(child)
                opened()
                code = follow(child, Plan(), Progress())
            end_tracers()
            counts.trials += 1
            counts.hits[{0: "not hit", FAILED: "refused", -9: "killed"}.get(code, "else")] += 1
            end = follow(forked(config, run, Plan(), Progress()), Plan(), Progress())
            alike = partial(difference, wholes[name], run, older=code != 0)
            found = alike() if end == 0 else f"the next ended with {end}"
            if found or code not in (0, FAILED, -9):
                counts.wrong.append(f"{name}, trial {trial}, ended with {code}: {found}")
    return counts


@contextmanager
def waiting() -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """A gate at which a child waits until it is opened."""
    inner, outer = os.pipe()
    try:
        yield lambda: (os.read(inner, 1), None)[1], lambda: (os.write(outer, b"x"), None)[1]
    finally:
        os.close(inner)
        os.close(outer)


TRACERS: list["subprocess.Popen[str]"] = []
"""The running straces."""


def attach(fault: str, child: int) -> None:
    """Let strace put a fault into the system calls of a process.  Raises ``OSError``."""
    calls = fault.removeprefix("inject=").partition(":")[0]
    command = ["strace", "-qq", "-f", "-o", os.devnull, "-e", f"trace={calls}", "-e", fault]
    tracer = subprocess.Popen([*command, "-p", str(child)], stderr=subprocess.PIPE, text=True)
    TRACERS.append(tracer)
    status = Path(f"/proc/{child}/status")
    for _ in range(6000):
        if "TracerPid:\t0\n" not in status.read_text():
            return
        if tracer.poll() is not None:
            break
        time.sleep(0.005)
    TRACERS.remove(tracer)
    tracer.kill()
    raise OSError(errno.EPERM, f"strace does not trace: {tracer.communicate()[1]}")


def end_tracers() -> None:
    """Take leave of the traces of processes that have ended."""
    while TRACERS:
        tracer = TRACERS.pop()
        tracer.kill()
        tracer.communicate()


def can_trace() -> bool:
    """Whether strace is installed and may attach to another process."""
    if shutil.which("strace") is None:
        return False
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            attach("inject=fsync:error=EIO:when=1", child.pid)
        except OSError:
            return False
        finally:
            child.kill()
            end_tracers()
    return True


def run_small_disks(seed: int, trials: int) -> Counts:
    """Save until a small file system is full; make it larger, and go on."""
    counts, generator = Counts(), random.Random(seed)
    with in_memory() as folder, repeatable():
        for _ in range(trials):
            with mounted(folder / "small", kilobytes=generator.randint(48, 160)) as root:
                facts: list[Fact] = []
                store = Store(root / "run", generator, facts.append)
                outcome = "done"
                for _ in range(60):
                    outcome = attempt(store.save if store.folder.exists() else store.restart)
                    if outcome != "done":
                        break
                    store.run.log.append({"filling": "x" * 2_000})
                remount(root, kilobytes=4_000)
                problem = outcome if outcome != "refused" else checked(root, facts)
            counts.trials += 1
            counts.hits["refused"] += outcome == "refused"
            counts.wrong += [problem] if problem else []
    return counts


@contextmanager
def mounted(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A file system in memory of a size.  Raises ``CalledProcessError`` where that is forbidden."""
    folder.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "charlm-test", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def remount(folder: Path, kilobytes: int) -> None:
    mount("-o", f"remount,size={kilobytes}k", str(folder))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def can_mount() -> bool:
    """Whether this process may make a file system of a size."""
    try:
        with in_memory() as folder, mounted(folder / "small", 16):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
