"""Resumed from any of its steps, a training goes on as the undisturbed one did, to the bit."""

from unittest.mock import patch

import pytest

from charlm.storage.log import Log
from charlm.training.learner import Learner
from tests.conftest import Figure
from tests.crash.crashes import in_memory
from tests.crash.resumes import CONFIGURATIONS, STEPS, run_ngram_resumes, run_resumes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", list(CONFIGURATIONS)[:2])
def test_every_step_can_be_resumed_from(name: str, figure: Figure) -> None:
    with in_memory() as folder:
        counts = run_resumes(name, folder)
    figure(counts.line(f"steps resumed from ({name})"))
    assert not counts.wrong
    assert counts.trials == STEPS


@pytest.mark.parametrize("name", ["minutes", "epochs", "plateau, adamw", "dropout of all kinds"])
def test_other_settings_can_be_resumed_from_some_steps(name: str) -> None:
    with in_memory() as folder:
        counts = run_resumes(name, folder, every=33)
    assert not counts.wrong
    assert counts.trials > 5


def test_a_counting_of_ngrams_can_be_stopped_anywhere() -> None:
    with in_memory() as folder:
        counts = run_ngram_resumes(folder)
    assert not counts.wrong
    assert counts.trials


FORGOTTEN = {
    "optimizer": patch("charlm.training.learner.restore_optimizer"),
    "carried state": patch.object(Learner, "lane_tensor", lambda self, *_: self.state[0][0] * 0),
    "end of the log": patch.object(Log, "cut"),
    "generators": patch("charlm.training.learner.seed_generators"),
}


@pytest.mark.parametrize("what", list(FORGOTTEN))
def test_what_resuming_forgets_is_caught(what: str, figure: Figure) -> None:
    with in_memory() as folder, FORGOTTEN[what]:
        counts = run_resumes("adamw, dropout", folder, every=50)
    figure(counts.line(f"null control, {what} forgotten: steps resumed from"))
    assert counts.wrong
