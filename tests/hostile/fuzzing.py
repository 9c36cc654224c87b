"""Every loader under mutated files: each is read, or refused by one of charlm's errors.

``run(seed, trials)`` is the long form; a trial can be repeated by its number and the seed.
"""

import gc
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from charlm.errors import CharlmError
from tests.hostile.loader import TEXT, Loader
from tests.hostile.other_loaders import other_loaders
from tests.hostile.run_loaders import run_loaders
from tests.hostile.text_loaders import format_loaders, text_loaders, tokenizer_loaders

__all__ = ["LONGEST_MESSAGE", "loaders", "run", "trial"]

SECONDS = 1.0
"""Processor time of a trial at most."""

LONGEST_MESSAGE = 2001
"""Characters of an error's message at most."""


def trial(loader: Loader, seed: int, number: int) -> str:
    """One trial; ``read`` or ``refused``.  Raises ``AssertionError`` with what repeats it."""
    source = random.Random(f"{seed} {number}")
    content = loader.mutate(source, source.choice(loader.seeds))
    began, refusal = time.process_time(), None
    which = f"{loader.name}: trial {number} of seed {seed}"
    try:
        loader.load(content)
    except CharlmError as error:
        refusal = error
    except Exception as error:
        shown = f"{type(error).__name__}: {error}\n{which}: {content[:2000]!r}"
        raise AssertionError(shown) from error
    assert time.process_time() - began < SECONDS, f"{which} took too long"
    if refusal is None:
        return "read"
    assert loader.named in str(refusal), f"{which}: {refusal}"
    assert len(str(refusal)) < LONGEST_MESSAGE, f"{which}: {str(refusal)[:500]}"
    assert refusal.hint, f"{which}: {refusal}"
    return "refused"


def run(seed: int, trials: int) -> "Counter[str]":
    """``trials`` trials, evenly over all loaders; how many files were read and refused by each."""
    counts: Counter[str] = Counter()
    # Where a loader recurses to the limit, a collection could not even close what it finds.
    with loaders() as found, without_collection():
        for number in range(trials):
            if number % 500 == 0:
                gc.collect()
            loader = found[number % len(found)]
            counts[f"{loader.name} {trial(loader, seed, number)}"] += 1
    return counts


@contextmanager
def without_collection() -> Iterator[None]:
    """Collect no garbage unless asked."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def loaders() -> Iterator[list[Loader]]:
    """All loaders, on files in a temporary folder."""
    with tempfile.TemporaryDirectory() as name, patch.dict("os.environ", CHARLM_CACHE=f"{name}/c"):
        folder = Path(name)
        (folder / "text.txt").write_text(TEXT, encoding="utf-8")
        yield [
            *run_loaders(folder),
            *tokenizer_loaders(folder),
            *text_loaders(folder),
            *format_loaders(folder),
            *other_loaders(folder),
        ]
