"""Damage to the files of the newest checkpoint is noticed, and the checkpoint before is used."""

import random
from collections.abc import Callable
from pathlib import Path

import torch

from charlm.errors import CheckpointError
from charlm.storage.integrity import MANIFEST, MODEL, STATE, TRAIN, WHOLE, UnreadableError
from charlm.storage.run import Run
from tests.crash.counts import Counts
from tests.crash.crashes import in_memory
from tests.crash.stores import CONFIG

__all__ = ["run_flips"]

FILES = (MODEL, TRAIN, STATE, MANIFEST)


def flip(content: bytes, generator: random.Random) -> bytes:
    """One bit is another."""
    position = generator.randrange(len(content))
    changed = content[position] ^ (1 << generator.randrange(8))
    return content[:position] + bytes([changed]) + content[position + 1 :]


def cut(content: bytes, generator: random.Random) -> bytes:
    """The end is missing."""
    return content[: generator.randrange(len(content))]


def clear(content: bytes, generator: random.Random) -> bytes:
    """Some bytes in a row are zero."""
    begin, length = generator.randrange(len(content)), generator.choice((1, 8, 64, 512))
    return content[:begin] + bytes(len(content[begin : begin + length])) + content[begin + length :]


def extend(content: bytes, generator: random.Random) -> bytes:
    """Something stands behind the end."""
    return content + generator.randbytes(generator.randint(1, 16))


def exchange(content: bytes, generator: random.Random) -> bytes:
    """Two bytes have changed places."""
    one, two = sorted(generator.sample(range(len(content)), 2))
    middle = content[one + 1 : two]
    return (
        content[:one] + content[two : two + 1] + middle + content[one : one + 1]
        + content[two + 1 :]
    )  # fmt: skip


DAMAGES: dict[Callable[[bytes, random.Random], bytes], int] = {
    flip: 6, cut: 3, clear: 1, extend: 1, exchange: 1,
}  # fmt: skip
"""What may happen to a file, and how often it is tried."""


def run_flips(seed: int, trials: int) -> Counts:
    """Damage a file of the newest checkpoint ``trials`` times, and open the run each time.

    A damaged number of the format may say that a newer charlm wrote the checkpoint; then the run
    is refused, which is counted apart.
    """
    counts, generator = Counts(), random.Random(seed)
    with in_memory() as folder:
        run = Run(folder / "run", CONFIG, {})
        run.folder.mkdir()
        for step in (10, 20):
            model = {"weight": torch.randn(6, 7), "bias": torch.full((3,), float(step))}
            state = {"counters": {"step": step, "best_nll": 1.5}, "name": "x"}
            run.save(step, model, {"moment": torch.randn(9)}, state, None)
        newest = run.checkpoints / "step-00000020"
        while counts.trials < trials:
            path = newest / FILES[counts.trials % len(FILES)]
            damage(counts, run, path, generator)
    return counts


def damage(counts: Counts, run: Run, path: Path, generator: random.Random) -> None:
    """Damage one file, open the run, and put the file back."""
    whole = path.read_bytes()
    (how,) = generator.choices(list(DAMAGES), list(DAMAGES.values()))
    harmed = how(whole, generator)
    if harmed == whole:
        return
    path.write_bytes(harmed)
    counts.trials += 1
    counts.hits[how.__name__] += 1
    outcome = opened(run)
    path.write_bytes(whole)
    if outcome == "refused":
        counts.hits["refused as of a newer version"] += 1
    elif outcome:
        counts.wrong.append(f"{how.__name__} in {path.name}: {outcome}: {harmed[:300]!r}")


def opened(run: Run) -> str | None:
    """None if the damage was noticed and the checkpoint before is used; else what happened."""
    WHOLE.clear()
    try:
        found, notes = run.newest()
    except UnreadableError:
        return "refused"
    except CheckpointError as error:
        return f"nothing was found: {error}"
    if found is None or found.step != 10:
        return "not noticed"
    return None if any("step-00000020" in note for note in notes) else "no note"
