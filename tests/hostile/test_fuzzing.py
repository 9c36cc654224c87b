"""20,000 wrong files: each is read, or refused by an error that names it and a way out."""

import pytest

from charlm.errors import CharlmError, CorpusError
from tests.hostile.fuzzing import LONGEST_MESSAGE, loaders, run, trial
from tests.hostile.loader import Loader
from tests.hostile.mutations import mutate_bytes

TRIALS = 10_500


@pytest.mark.parametrize("seed", [1, 2])
def test_every_loader_reads_or_refuses_what_it_is_given(seed: int) -> None:
    counts = run(seed, TRIALS)
    assert sum(counts.values()) == TRIALS
    read, refused = (
        {name.rpartition(" ")[0] for name in counts if name.endswith(f" {outcome}")}
        for outcome in ("read", "refused")
    )
    # Mutations that a loader never notices, or that always end at its door, would test nothing.
    # best.json is only a hint; of the manifest every byte counts.
    assert refused | {"best.json"} == read | {"manifest.json"}, read ^ refused
    print(f"{TRIALS:,} files, {sum(n for name, n in counts.items() if 'read' in name):,} read")


def test_every_seed_is_a_right_file() -> None:
    with loaders() as found:
        assert len(found) > 35
        for loader in found:
            for content in loader.seeds:
                loader.load(content)


def refusing(message: str, hint: str = "h", kind: type[Exception] = CorpusError) -> Loader:
    """A loader that raises an error."""

    def load(content: bytes) -> object:
        raise kind(message, hint) if issubclass(kind, CharlmError) else kind(message)

    return Loader("broken", [b"x"], mutate_bytes, load, "x.txt")


@pytest.mark.parametrize(
    "broken",
    [
        refusing("x.txt", kind=KeyError),
        refusing("x.txt", kind=MemoryError),
        refusing("another name"),
        refusing("x.txt", hint=""),
    ],
)
def test_a_loader_that_is_broken_is_caught(broken: Loader) -> None:
    with pytest.raises(AssertionError, match="trial 0 of seed 0"):
        trial(broken, 0, 0)
    assert trial(refusing("x.txt is bad"), 0, 0) == "refused"


def test_what_an_error_quotes_is_shortened_in_its_middle() -> None:
    error = CorpusError(f"x.txt {'y' * 10**6} end", "z" * 10**6)
    assert len(str(error)) <= LONGEST_MESSAGE
    assert len(error.hint) <= LONGEST_MESSAGE
    assert str(error).startswith("x.txt yyy")
    assert str(error).endswith("y end")
    assert str(CorpusError("x" * 2000, "h")) == "x" * 2000
