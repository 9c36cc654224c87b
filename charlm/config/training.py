"""The settings of training: budget, optimizer, schedule, validation, machine."""

from dataclasses import dataclass
from typing import ClassVar

from charlm.config.section import Section, setting
from charlm.errors import ConfigError

__all__ = ["DEFAULT_MINUTES", "TrainConfig"]

DEFAULT_MINUTES = 10.0
"""Minutes of a training of a network that is given no budget."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Section):
    """How the model learns."""

    name: ClassVar[str] = "training"
    needs: ClassVar = {"thaw": ("freeze",), "keep_share": ("base",)}
    rivals: ClassVar = {
        "minutes": ("epochs", "steps"),
        "epochs": ("steps",),
        "keep_share": ("random_bptt",),  # the lanes of two texts have segments of equal lengths
    }

    minutes: float | None = setting(
        None, "Train for X minutes, validation included.  "
        f"[default: {DEFAULT_MINUTES:g}, if no other budget is given]",
        above=0,
    )  # fmt: skip
    epochs: float | None = setting(None, "Train for X passes over the text.", above=0)
    most_epochs: float | None = setting(
        None,
        "minutes: end after X passes over the text if that is sooner.  [default: 30 if the dropout "
        "is decided]",
        decided=True, above=0,
    )  # fmt: skip
    steps: int | None = setting(None, "Train for N optimizer steps.", minimum=1)
    batch_size: int = setting(
        32, "Lanes of the text that are processed in parallel.",
        decided=True, minimum=1, maximum=1 << 20,
    )  # fmt: skip
    bptt: int = setting(
        64, "Steps of time in a segment, through which gradients go.", minimum=1, maximum=1 << 20
    )
    random_bptt: bool = setting(
        False, "Let the segments' lengths vary around bptt, and the learning rate with them."
    )
    state_reset: float = setting(
        0.01, "Probability that a lane starts a segment at state zero.", minimum=0, below=1
    )
    accumulate: int = setting(
        1, "Process the lanes of a step in N parts, one after the other, to save memory.", minimum=1
    )
    optimizer: str = setting("adamw", "The optimizer.", choices=("adamw", "sgd"))
    learning_rate: float = setting(6e-3, "Peak learning rate.", decided=True, above=0)
    beta1: float = setting(0.9, "adamw: decay of the first moment.", minimum=0, below=1)
    beta2: float = setting(0.99, "adamw: decay of the second moment.", minimum=0, below=1)
    weight_decay: float | None = setting(
        None,
        "Decoupled for adamw, L2 for sgd.  [default: for adamw decided, or 0.01 with steps or "
        "epochs; for sgd 0]",
        decided=True, minimum=0,
    )  # fmt: skip
    activation_penalty: float = setting(
        0.0,
        "Penalty on the mean square of the last layer's outputs (AR; for repeating AWD-LSTM: it "
        "gained nothing here).",
        minimum=0,
    )
    temporal_penalty: float = setting(
        0.0,
        "Penalty on the mean square of the change of these outputs from step to step (TAR; for "
        "repeating AWD-LSTM: it gained nothing here).",
        minimum=0,
    )
    momentum: float = setting(0.0, "sgd: momentum.", minimum=0, below=1)
    schedule: str = setting(
        "trapezoid",
        "trapezoid: constant, then linearly to zero; cosine: to zero along half a cosine; "
        "plateau: divided when validation stalls; constant.",
        choices=("trapezoid", "cosine", "plateau", "constant"),
    )
    warmup: float = setting(0.02, "Share of the training that warms up.", minimum=0, below=1)
    cooldown: float = setting(
        0.4, "trapezoid: share of the training that falls to zero.", above=0, maximum=1
    )
    plateau_factor: float = setting(4.0, "plateau: divide the learning rate by this.", above=1)
    clip: float = setting(1.0, "Largest norm of the gradient; 0: never clip.", minimum=0)
    average: str = setting(
        "none",
        "Weights to validate, save and use: none: as trained; ema: their exponential moving "
        "average; asgd: their mean since validation stalled.",
        choices=("none", "ema", "asgd"),
    )
    ema_decay: float = setting(
        0.999, "ema: decay per step, (1 + t) / (10 + t) at step t while that is less.",
        above=0, below=1,
    )  # fmt: skip
    nonmono: int = setting(
        5, "asgd: validation has stalled when it is no better than N validations before.", minimum=1
    )
    evaluations: int = setting(
        10,
        "Validations, evenly spread over the training; fewer where more than 5 % of the minutes "
        "would go into them.",
        minimum=1,
    )
    valid_tokens: int = setting(
        131072, "Validate on the first N tokens during training; 0: all.", minimum=0
    )
    patience: int = setting(0, "Stop after N validations without improvement; 0: never.", minimum=0)
    save_minutes: float = setting(
        2.0, "Save at least every X minutes, unless more than 2 % of the time would go into it.",
        above=0,
    )  # fmt: skip
    precision: str = setting(
        "auto", "auto: bfloat16 on a GPU that has it, else float32.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )  # fmt: skip
    base: str | None = setting(
        None,
        "Begin with the weights and the vocabulary of another run, and train on with this text; "
        "symbols that are new get the next ids.",
    )
    keep_share: float = setting(
        0.0, "Share of the lanes that go on reading the text of base, against forgetting it.",
        minimum=0, below=1,
    )  # fmt: skip
    freeze: int = setting(
        0, "Lowest layers whose weights stay as they are; embedding and head always learn.",
        minimum=0,
    )  # fmt: skip
    thaw: float | None = setting(
        None,
        "Share of the training after which the last frozen layer learns again: they thaw one after "
        "the other, the upper ones first.  [default: never]",
        above=0, maximum=1,
    )  # fmt: skip
    depth_factor: float = setting(
        1.0,
        "Each layer learns at this many times the rate of the one above it, the head at the full "
        "rate; below 1, lower layers change less.",
        above=0, maximum=1,
    )  # fmt: skip
    device: str = setting("auto", "auto, cpu, cuda, cuda:N, mps.")
    seed: int = setting(1, "Seed of everything random.", minimum=0, maximum=2**31 - 1)

    @property
    def decay(self) -> float:
        """The weight decay: ``weight_decay``, or the default of the optimizer."""
        if self.weight_decay is not None:
            return self.weight_decay
        # As a part of the gradient and at the rates of sgd, a hundredth would outweigh all else.
        return 0.01 if self.optimizer == "adamw" else 0.0

    def check(self) -> None:
        """Refuse more parts than lanes, and schedules that cannot be followed."""
        if self.batch_size is not None and self.accumulate > self.batch_size:
            raise ConfigError(
                f"`training.accumulate={self.accumulate}` is more than "
                f"`training.batch_size={self.batch_size}`",
                "a part needs at least one lane",
            )
        if self.schedule == "trapezoid" and self.warmup + self.cooldown > 1:
            raise ConfigError(
                f"`training.warmup={self.warmup:g}` and `training.cooldown={self.cooldown:g}` "
                "are more than the whole training",
                "make one of them less",
            )
        if self.random_bptt and self.bptt < 10:
            raise ConfigError(
                f"`training.random_bptt` needs `training.bptt` of at least 10, got {self.bptt}",
                "make `training.bptt` longer, or leave `training.random_bptt` out",
            )
        if self.average == "asgd" and self.evaluations < self.nonmono + 3:
            raise ConfigError(
                f"`training.nonmono={self.nonmono}` leaves nothing to average with "
                f"`training.evaluations={self.evaluations}`",
                f"validate at least {self.nonmono + 3} times, or lower `training.nonmono`",
            )
