"""What is done where the loss or its gradient stops being finite."""

from charlm.config import TrainConfig
from charlm.errors import ModelError
from charlm.training.reports import Note

__all__ = ["RETURNS_ALLOWED", "SKIPS_ALLOWED", "gave_up", "went_back"]

SKIPS_ALLOWED = 10
"""Steps in a row without finite numbers before training goes back to its last checkpoint."""

RETURNS_ALLOWED = 3
"""How often a run may go back to a checkpoint.  The learning rate is then an eighth."""


def went_back(step: int, to: int) -> Note:
    """The note that training has gone back from ``step`` to the checkpoint of step ``to``."""
    return Note(
        text=f"the loss or its gradient was not finite in {SKIPS_ALLOWED} steps in a row (step "
        f"{step:,}): back to the checkpoint of step {to:,}, with half the learning rate"
    )


def gave_up(config: TrainConfig, step: int) -> ModelError:
    """The error for numbers that stay infinite, with advice."""
    clip = "`training.clip`" if config.clip else "set `training.clip` (now 0: never)"
    return ModelError(
        f"the loss or its gradient was not finite in {SKIPS_ALLOWED} steps in a row (step {step})",
        f"lower `training.learning_rate` (now {config.learning_rate:g}) or {clip}, and train into "
        "another `out=FOLDER`",
    )
