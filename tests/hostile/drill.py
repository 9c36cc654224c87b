"""Fuzzing as a part of the laboratory that ``scripts/drill`` runs by the hour."""

from tests.crash.counts import Counts
from tests.hostile.fuzzing import loaders, trial

__all__ = ["run_fuzzing"]


def run_fuzzing(seed: int, trials: int) -> Counts:
    """``trials`` wrong files, evenly over all loaders; hits say how many were read."""
    counts = Counts()
    with loaders() as found:
        for number in range(trials):
            loader = found[number % len(found)]
            counts.trials += 1
            try:
                counts.hits[trial(loader, seed, number)] += 1
            except AssertionError as error:
                counts.wrong.append(str(error))
    return counts
