"""A flipped bit or a missing end in any file of a checkpoint is noticed."""

from unittest.mock import patch

from tests.conftest import Figure
from tests.crash.flips import run_flips

DAMAGES = 10_000


def test_damage_is_noticed_and_the_checkpoint_before_is_used(figure: Figure) -> None:
    counts = run_flips(1, DAMAGES)
    figure(counts.line("damaged files of a checkpoint"))
    assert not counts.wrong
    assert counts.trials == DAMAGES
    assert counts.hits["refused as of a newer version"] <= DAMAGES // 1000


def test_a_hash_that_is_not_compared_is_caught(figure: Figure) -> None:
    with patch("charlm.storage.integrity.digest", lambda _: "same"):
        counts = run_flips(1, 200)
    figure(counts.line("null control, hashes not compared: damaged files"))
    assert len(counts.wrong) > 10
