"""What training says while it goes on: small frozen records, drawn by whoever iterates."""

from dataclasses import dataclass

__all__ = ["Done", "Evaluated", "Note", "Report", "Saved", "Started", "Stepped"]


@dataclass(frozen=True, kw_only=True)
class Started:
    """Training begins or goes on at ``step``; ``lanes`` and ``steps_per_epoch`` are in force.

    ``unit`` is what is counted as steps: those of an optimizer, or orders of an n-gram model.
    """

    step: int
    parameters: int
    vocab_size: int
    train_tokens: int
    valid_tokens: int
    lanes: int
    steps_per_epoch: int
    device: str
    precision: str
    resumed: bool
    unit: str = "step"


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """One optimizer step: mean ``loss`` (nats per token) and the pace it was made at."""

    step: int
    epoch: int
    fraction: float
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    seconds: float
    tokens_per_second: float


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """A validation: nats per token over ``tokens`` tokens, one stream with the state carried.

    ``bpc`` is bits per character, estimated with the validation part's characters per token.
    """

    step: int
    fraction: float
    valid_nll: float
    valid_bpc: float
    tokens: int
    best: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Saved:
    """A checkpoint is on the disk."""

    step: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something the user should know."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """The end of a session: ``finished`` the whole training, or stopped before.

    ``valid_nll`` (nats per token) and ``valid_bpc`` are the best validation's, at ``best_step``;
    None without validation text.  ``seconds`` counts all sessions of the run.
    """

    run: str
    finished: bool
    reason: str
    step: int
    best_step: int | None
    valid_nll: float | None
    valid_bpc: float | None
    seconds: float
    tokens_per_second: float
    parameters: int
    skipped_steps: int


Report = Started | Stepped | Evaluated | Saved | Note | Done
