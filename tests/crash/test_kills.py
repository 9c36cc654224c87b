"""Killed with SIGKILL at random moments and inside saves, training ends in the same bytes."""

import pytest

from tests.conftest import Figure
from tests.crash.conftest import Apart

KILLS = 100
INSIDE = "inside a save"


@pytest.mark.timeout(900)
def test_killed_trainings_end_as_if_nobody_had_touched_them(apart: Apart, figure: Figure) -> None:
    counts = apart("kills", f"run_kills(1, {KILLS})", seconds=880)
    figure(counts.line("kills of a training"))
    assert not counts.wrong
    assert counts.trials == KILLS
    assert counts.hits[INSIDE] >= 0.3 * KILLS, "too few kills landed inside a save"


@pytest.mark.timeout(900)
def test_a_training_that_forgets_its_optimizer_is_caught(apart: Apart, figure: Figure) -> None:
    counts = apart("kills", "run_kills(2, 4, kills.forget_optimizer)")
    figure(counts.line("null control, optimizer forgotten: kills"))
    assert counts.wrong
