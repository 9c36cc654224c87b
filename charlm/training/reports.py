"""Reports of training: small frozen records, for a program to draw, log or test."""

from dataclasses import dataclass

__all__ = ["BaseScores", "Done", "Evaluated", "Note", "Report", "Saved", "Started", "Stepped"]


@dataclass(frozen=True, kw_only=True)
class Started:
    """Training of the folder ``run`` begins at ``step``, which is above 0 if it was ``resumed``.

    ``lanes`` is the batch size, which a short text may make smaller than its setting.  ``unit``
    is what ``step`` counts: steps of an optimizer, or orders of an n-gram model.
    """

    run: str
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
    """One optimizer step: mean ``loss`` (nats per token) of its segment; ``tokens`` and ``seconds``
    count all sessions of the run, ``fraction`` is the share of the budget spent before it.
    """

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
    """A remark for the user, a sentence."""

    text: str


@dataclass(frozen=True, kw_only=True)
class BaseScores:
    """What a model that was begun from the run ``base`` has learned and forgotten.

    Bits per character before and after training, on the validation text of the run and on the
    ``old`` one, that of its base; None where there is none.
    """

    base: str
    new_before: float | None
    new_after: float | None
    old_before: float | None
    old_after: float | None


@dataclass(frozen=True, kw_only=True)
class Done:
    """The end of a session, which ``finished`` the training or was stopped for ``reason``.

    ``valid_nll`` (nats per token) and ``valid_bpc`` are the best validation's, at ``best_step``;
    None without validation text.  ``seconds`` counts all sessions of the run.  ``base`` is None
    for a run that was not begun from another one, or is not finished.
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
    base: BaseScores | None = None


Report = Started | Stepped | Evaluated | Saved | Note | Done
