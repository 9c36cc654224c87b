"""How far training has come, from 0 to 1: counted in steps, or by the clock."""

import math
import statistics
import time
from collections.abc import Callable

from charlm.config import DEFAULT_MINUTES, TrainConfig
from charlm.errors import counted

__all__ = ["Pace"]

LARGEST_RESERVE = 0.04
"""Share of the time; a validation may have been slow for a reason that is gone at the end."""

VALIDATION_SHARE = 0.05
"""By the clock, at most this share of the time goes into validation on the way."""


class Pace:
    """The budget of a run and what is spent of it.

    Epochs become steps.  Minutes follow the clock: time spent in earlier sessions counts, and
    ``reserve`` seconds are kept for the last validation and save: what those before usually took,
    but never so much that training would end noticeably early.  Where the most epochs end training
    sooner, they are what is counted.
    """

    def __init__(
        self,
        config: TrainConfig,
        steps_per_epoch: int,
        spent: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.began = clock() - spent
        self.reserve = 0.0
        self.validations: list[float] = []
        self.evaluations = config.evaluations
        self.steps: int | None = config.steps
        if config.epochs is not None:
            self.steps = max(1, round(config.epochs * steps_per_epoch))
        minutes = config.minutes if config.minutes is not None else DEFAULT_MINUTES
        self.total_seconds = 60 * minutes
        most = config.most_epochs
        amount = (minutes, "minute") if self.steps is None else (self.steps, "step")
        self.budget = counted(*amount)
        if self.steps is None and most is not None:
            self.budget += f", {counted(most, 'epoch')} at most"
        # Where there are most epochs, the clock may leave some of the minutes unused.
        self.most_steps = math.inf if most is None else max(1, round(most * steps_per_epoch))

    def expect(self, seconds: float) -> None:
        """Learn how long a validation takes."""
        self.validations.append(seconds)
        usual = statistics.median(self.validations)
        self.reserve = min(usual, LARGEST_RESERVE * self.total_seconds)

    def next_evaluation(self, fraction: float, took: float = 0.0) -> float:
        """When the validation after one at ``fraction``, which ``took`` seconds, is due."""
        following = (math.floor(fraction * self.evaluations + 1e-9) + 1) / self.evaluations
        if took and self.by_clock:
            self.expect(took)
            following = max(following, fraction + took / VALIDATION_SHARE / self.total_seconds)
        return following

    @property
    def by_clock(self) -> bool:
        """Whether time, not steps, is the budget."""
        return self.steps is None

    def seconds(self) -> float:
        """Time spent so far, over all sessions."""
        return self.clock() - self.began

    def fraction(self, step: int, seconds: float | None = None) -> float:
        """The share of the budget that ``step`` steps (or the time until now) have used."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        seconds = self.seconds() if seconds is None else seconds
        by_clock = seconds / max(self.total_seconds - self.reserve, 1e-9)
        return min(1.0, max(by_clock, step / self.most_steps))
